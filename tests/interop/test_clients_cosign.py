"""cosign through the proxy: people's own signatures and attestations arrive, and count where a policy trusts them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deploy.layouts import image
from tests.interop.countersign import own
from tests.interop.images import push
from tests.interop.peers import Ran, must, run
from tests.interop.shared import Here, Partner
from tests.interop.wire import manifest

pytestmark = pytest.mark.go

# Each way that people sign without a transparency log: the client, and what it must be told.
WAYS = {
    "3": ("cosign", ["--use-signing-config=false", "--tlog-upload=false"]),
    "3-simple": ("cosign", ["--use-signing-config=false", "--tlog-upload=false", "--new-bundle-format=false"]),
    "2": ("cosign2", ["--tlog-upload=false"]),
    "2-bundle": ("cosign2", ["--tlog-upload=false", "--new-bundle-format=true"]),
}


def sign(partner: Partner, way: str, name: str, home: Path, *flags: str) -> Ran:
    """What `cosign sign` did, with the partner's key."""
    client, known = WAYS[way]
    arguments: list[str | Path] = ["sign", *known, "--yes", "--key", partner.cosign_key(), *flags, name]
    return run(client, *arguments, environment=own(home))


@pytest.mark.parametrize("way", list(WAYS))
def test_their_signature_beside_ours(anywhere: Here, partner: Partner, way: str) -> None:
    here = anywhere
    assert here.clients.push("crane", "hello", here.name()).status == 0
    digest = manifest(here.proxy.host, here.repository, "1").headers["docker-content-digest"]
    for _ in range(2):
        signed = sign(partner, way, here.name(f"@{digest}"), here.clients.home, "-a", "by=them")
        assert signed.status == 0, signed.output
    here.verifiers.accept(here.repository, "1", digest)
    theirs = here.verifiers.of(partner.public)
    # Where there is a bundle (ours), cosign 3 looks at `.sig` only if told to, and cosign 2 not at all.
    flags, versions = (["--new-bundle-format=false"], [3]) if way in {"3-simple", "2"} else ([], [3, 2])
    for version in versions:
        theirs.accepted(f"cosign {version}", way, theirs.cosign(f"{here.repository}:1", *flags, version=version))
    assert here.clients.push("crane", "hello", here.name(":2")).status == 0
    here.verifiers.accept(here.repository, "2", digest)
    theirs.accepted("cosign", way, theirs.cosign(f"{here.repository}:2", *flags))


@pytest.mark.parametrize("way", list(WAYS))
def test_their_signature_counts_where_it_is_trusted(anywhere: Here, partner: Partner, way: str) -> None:
    """Image and signature came in behind the proxy's back, wherever that version of cosign puts signatures."""
    here = anywhere
    repository = f"partner/{here.repository}"
    digest = push(image(here.clients.fresh(), way), f"{here.proxy.upstream.host}/{repository}:1")
    signed = sign(partner, way, f"{here.proxy.upstream.host}/{repository}@{digest}", here.clients.home)
    assert signed.status == 0, signed.output
    other = push(image(here.clients.fresh(), f"{way} unsigned"), f"{here.proxy.upstream.host}/{repository}:2")
    pulled = here.clients.pull("crane", here.name(f"@{digest}", repository))
    assert pulled.status == 0, pulled.output
    assert manifest(here.proxy.host, repository, other).status == 403


def test_a_list_in_docker_types_could_not_be_fetched_to_verify_it_again(anywhere: Here, partner: Partner) -> None:
    """What let the image pass lies upstream as cosign writes it for registries that take no OCI types."""
    here = anywhere
    repository = f"partner/{here.repository}"
    digest = push(image(here.clients.fresh(), "docker types"), f"{here.proxy.upstream.host}/{repository}:1")
    client, known = WAYS["2"]
    upstream = f"{here.proxy.upstream.host}/{repository}@{digest}"
    environment = own(here.clients.home) | {"COSIGN_DOCKER_MEDIA_TYPES": "1"}
    must(client, "sign", *known, "--yes", "--key", partner.cosign_key(), upstream, environment=environment)
    assert here.clients.pull("crane", here.name(f"@{digest}", repository)).status == 0
    name = here.name(f"@{digest}", repository)
    for version in ("cosign", "cosign2"):
        flags = ["--new-bundle-format=false", "--insecure-ignore-tlog"]
        verified = here.clients.run(version, "verify", *flags, "--key", partner.public, name)
        assert verified.status == 0, verified.output


def test_two_signers_are_two(here: Here, partner: Partner) -> None:
    repository = f"both/{here.repository}"
    assert here.clients.push("crane", "hello", here.name(repository=repository)).status == 0
    digest = manifest(here.proxy.upstream.host, repository, "1").headers["docker-content-digest"]
    blocked = manifest(here.proxy.host, repository, "1")
    assert blocked.status == 403
    assert b"too few" in blocked.body or b"fewer" in blocked.body, blocked.body
    # Nobody's name is proven in front of an open registry, so nobody may read what is blocked: they sign upstream.
    for way in ("3", "2"):
        signed = sign(partner, way, f"{here.proxy.upstream.host}/{repository}@{digest}", here.clients.home)
        assert signed.status == 0, signed.output
    assert served_at_last(here, repository, digest)


def served_at_last(here: Here, repository: str, reference: str) -> bool:
    """True once a denial from before, which is remembered for five seconds, is forgotten."""
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        if manifest(here.proxy.host, repository, reference).status == 200:
            return True
        time.sleep(0.1)
    return False


def attest(partner: Partner, way: str, name: str, home: Path) -> list[str | Path]:
    """The partner has said something about the image; this is how `verify-attestation` is asked about it."""
    (home / "predicate.json").write_text('{"tested": true}')
    client, known = WAYS[way]
    about: list[str | Path] = ["--predicate", home / "predicate.json", "--type", "https://example.com/tested"]
    must(client, "attest", *known, "--yes", "--key", partner.cosign_key(), *about, name, environment=own(home))
    return ["verify-attestation", "--key", partner.public, "--insecure-ignore-tlog", *about[2:], name]


@pytest.mark.parametrize("way", ["3", "2"])
def test_their_attestation(anywhere: Here, partner: Partner, way: str) -> None:
    here = anywhere
    assert here.clients.push("crane", "hello", here.name()).status == 0
    digest = manifest(here.proxy.host, here.repository, "1").headers["docker-content-digest"]
    question = attest(partner, way, here.name(f"@{digest}"), here.clients.home)
    if way == "2":  # it made no bundle, and where there is one (ours) only cosign 3 can be told not to look at it
        question.insert(1, "--new-bundle-format=false")
    answered = here.clients.run("cosign", *question)
    assert answered.status == 0, answered.output
    here.verifiers.accept(here.repository, "1", digest)


def test_cosign_2_alone_where_the_policy_writes_no_bundles(anywhere: Here, partner: Partner) -> None:
    """With `formats: [cosign-simple]` everything is where cosign 2 looks by itself; no trusted root is needed."""
    here = anywhere
    repository = f"simple/{here.repository}"
    name = here.name(repository=repository)
    assert here.clients.push("crane", "hello", name).status == 0
    assert sign(partner, "2", name, here.clients.home).status == 0
    for key in (here.proxy.key, partner.public):
        verified = here.clients.run("cosign2", "verify", "--key", key, "--insecure-ignore-tlog", name)
        assert verified.status == 0, verified.output
    answered = here.clients.run("cosign2", *attest(partner, "2", name, here.clients.home))
    assert answered.status == 0, answered.output
    assert here.clients.pull("crane", name).status == 0
