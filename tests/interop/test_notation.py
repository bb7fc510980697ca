"""notation and we: it accepts what we write, we accept what it writes, in front of every kind of upstream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.layouts import image
from proxy.formats.notary import ARTIFACT_TYPE
from proxy.oci.reference import fallback_tag, parse_digest
from proxy.server.store import open_store
from proxy.store.clock import SystemClock
from proxy.trust.keys import fingerprint
from tests.interop.clients import Clients
from tests.interop.countersign import PROGRAM, Change, Proxy, initialised, serving
from tests.interop.images import push
from tests.interop.notary import SUBJECT, Ca, Notation, leaf, new_ca
from tests.interop.peers import must, need
from tests.interop.registries import Registry
from tests.interop.shared import UPSTREAMS
from tests.interop.wire import manifest
from tests.worlds.certificates import pem, rsa_key
from tests.worlds.softkey import MAKERS, PrivateKey

pytestmark = pytest.mark.go

ENVELOPES = {"jws": "notation-jws", "cose": "notation-cose"}
KEYS: dict[str, Callable[[], PrivateKey]] = {"p256": MAKERS["p256"], "rsa": lambda: rsa_key(2048)}


@pytest.fixture(scope="module")
def ca() -> Ca:
    need("notation")
    return new_ca()


def settings(ca: Ca, algorithm: str) -> Change:
    """Ours sign in every format; images of the vendor count by their certificates."""

    def change(found: dict[str, Any]) -> None:
        found["keys"]["release"] |= {"algorithm": algorithm, "label": f"release-{algorithm}"}
        root = pem(ca.roots)
        found["trust"] = {"vendor": {"kind": "x509", "ca_file": root, "identities": [SUBJECT]}}
        every = ["cosign-simple", "sigstore-bundle", *ENVELOPES.values()]
        found["policies"] = [
            {
                "repositories": ["ours/**"],
                "push": {"sign_with": ["release"], "formats": every, "claims": ["pusher", "time"]},
                "pull": {"mode": "enforce", "require": [{"signed_by": ["release"]}]},
            },
            *(
                {
                    "repositories": [f"{name}/**"],
                    "push": {"sign_with": ["release"], "formats": [name]},
                    "pull": {"mode": "enforce", "require": [{"signed_by": ["release"]}]},
                }
                for name in ENVELOPES.values()
            ),
            {
                "repositories": ["vendor/**"],
                "push": {"sign_with": []},
                "pull": {"mode": "enforce", "require": [{"signed_by": ["vendor"]}]},
            },
        ]

    return change


@contextmanager
def certified(
    folder: Path, upstream: Registry, ca: Ca, algorithm: str = "ecdsa-p256", also: Change | None = None
) -> Iterator[Proxy]:
    """The proxy, with a key of that algorithm that has a chain of this CA; its configuration has `also` made to it."""

    def change(found: dict[str, Any]) -> None:
        settings(ca, algorithm)(found)
        if also is not None:
            also(found)

    host = initialised(folder, upstream, change)
    (folder / "keys" / "release.pub").unlink()
    must(PROGRAM, "init", folder, "--upstream", upstream.url)  # makes the key that the configuration now speaks of
    with serving(folder, host, upstream):
        pass  # the key is in the key book
    asyncio.run(_certify(folder, ca))
    with serving(folder, host, upstream) as proxy:
        yield proxy


async def _certify(folder: Path, ca: Ca) -> None:
    store = await open_store(f"sqlite:///{folder / 'countersign.db'}", SystemClock())
    try:
        key = store.keybook.ring().active("release")
        assert key is not None
        await store.keybook.amend(fingerprint(key.spki), {"chain": ca.chain_for(key.spki)})
    finally:
        await store.close()


@pytest.fixture(scope="module", params=list(UPSTREAMS))
def proxy(request: pytest.FixtureRequest, ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Ours with a P-256 key that has certificates, in front of each kind of upstream."""
    folder = tmp_path_factory.mktemp(request.param)
    with (
        UPSTREAMS[request.param](folder / "upstream") as upstream,
        certified(folder / "proxy", upstream, ca) as made,
    ):
        yield made


@pytest.fixture
def notation(tmp_path: Path, ca: Ca) -> Notation:
    client = Notation(tmp_path / "notation-home")
    client.trusts(ca.roots)
    return client


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    return Clients(tmp_path / "clients", {})


def refused(proxy: Proxy, repository: str, reference: str, reason: str) -> None:
    answer = manifest(proxy.host, repository, reference)
    assert answer.status == 403, answer.body
    assert f": {reason} - " in answer.reason, answer.reason


@pytest.mark.parametrize("repository", ["ours/app", "notation-jws/app", "notation-cose/app"])
def test_notation_accepts_what_we_write(
    proxy: Proxy, notation: Notation, clients: Clients, ca: Ca, repository: str
) -> None:
    name = f"{proxy.host}/{repository}:{time.monotonic_ns()}"
    assert clients.push("crane", "hello", name).status == 0
    verified = notation.verify(name)
    assert verified.status == 0, verified.output
    assert "Successfully verified signature" in verified.output
    assert clients.pull("crane", name).status == 0
    notation.trusts(new_ca().roots)
    assert notation.verify(name).status != 0
    notation.trusts(ca.roots, "x509.subject: C=DE, ST=Berlin, O=Somebody else")
    assert notation.verify(name).status != 0


def test_what_was_signed_later_claims_a_pusher(proxy: Proxy, notation: Notation, clients: Clients) -> None:
    """notation finds who had it signed and why, and no pusher."""
    repository = "ours/later"
    push(image(clients.fresh(), "later"), f"{proxy.upstream.host}/{repository}:1")
    assert proxy("sign", f"{repository}:*", "--reason", "the backlog", "--yes").status == 0
    name = f"{proxy.host}/{repository}:1"
    claims = ["signed-later-by=operator on the host (socket)", "reason=the backlog"]
    told = [word for claim in claims for word in ("--user-metadata", claim)]
    verified = notation("verify", "--insecure-registry", *told, name)
    assert verified.status == 0, verified.output
    pusher = notation("verify", "--insecure-registry", "--user-metadata", "pusher=operator on the host (socket)", name)
    assert pusher.status != 0, pusher.output
    assert clients.pull("crane", name).status == 0


def test_both_envelopes_stand_beside_the_other_formats(proxy: Proxy, clients: Clients, notation: Notation) -> None:
    name = f"{proxy.host}/ours/beside:1"
    assert clients.push("crane", "hello", name).status == 0
    formats = sorted(form for _, form, _ in proxy.signatures("ours/beside"))
    assert formats == ["cosign-simple", "cosign-simple", "notation-cose", "notation-jws", "sigstore-bundle"]
    listed = notation("list", "--insecure-registry", name)
    assert listed.stdout.count("sha256:") == 3, listed.stdout
    assert "docker-reference: " in notation("inspect", "--insecure-registry", name).output
    digest = manifest(proxy.upstream.host, "ours/beside", "1").headers["docker-content-digest"]
    fallback = manifest(proxy.upstream.host, "ours/beside", fallback_tag(parse_digest(digest)))
    if fallback.status == 200:
        kinds = [entry["artifactType"] for entry in json.loads(fallback.body)["manifests"]]
        assert kinds.count(ARTIFACT_TYPE) == 2


def test_what_the_proxy_listed_is_all_upstream_too(proxy: Proxy, clients: Clients, notation: Notation) -> None:
    name = f"{proxy.host}/notation-jws/upstream:1"
    assert clients.push("crane", "hello", name).status == 0
    verified = notation.verify(name.replace(proxy.host, proxy.upstream.host))
    assert verified.status == 0, verified.output


@pytest.mark.parametrize("tag", ["--force-referrers-tag=true", "--force-referrers-tag=false"])
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("kind", KEYS)
def test_we_accept_what_notation_writes(
    proxy: Proxy, notation: Notation, clients: Clients, ca: Ca, kind: str, envelope: str, tag: str
) -> None:
    """Image and signature came in behind the proxy's back."""
    repository = f"vendor/{kind}-{envelope}-{tag.rpartition('=')[2]}"
    upstream = f"{proxy.upstream.host}/{repository}"
    digest = push(image(clients.fresh(), kind + envelope + tag), f"{upstream}:1")
    refused(proxy, repository, "1", "unsigned")
    key = KEYS[kind]()
    notation.has("vendor", key, ca.chain(leaf(key)))
    signed = notation.sign(f"{upstream}@{digest}", envelope, tag)
    assert signed.status == 0, signed.output
    other = push(image(clients.fresh(), f"{kind}{envelope}{tag} unsigned"), f"{upstream}:2")
    assert served_at_last(proxy, repository, "1")
    assert clients.pull("crane", f"{proxy.host}/{repository}@{digest}").status == 0
    assert manifest(proxy.host, repository, other).status == 403


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_strangers_and_expired_signatures_are_refused(
    proxy: Proxy, notation: Notation, clients: Clients, ca: Ca, envelope: str
) -> None:
    repository = f"vendor/stranger-{envelope}"
    upstream = f"{proxy.upstream.host}/{repository}"
    digest = push(image(clients.fresh(), "stranger" + envelope), f"{upstream}:1")
    key = MAKERS["p256"]()
    notation.has("stranger", key, new_ca().chain(leaf(key)))
    assert notation.sign(f"{upstream}@{digest}", envelope).status == 0
    refused(proxy, repository, digest, "untrusted_key")
    notation.has("vendor", key, ca.chain(leaf(key)))
    other = push(image(clients.fresh(), "expiring" + envelope), f"{upstream}:2")
    signed = notation.sign(f"{upstream}@{other}", envelope, "--expiry", "1s")
    assert signed.status == 0, signed.output
    time.sleep(1.2)
    refused(proxy, repository, other, "certificate_expired")


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_signing_through_the_proxy_beside_ours(
    proxy: Proxy, notation: Notation, clients: Clients, ca: Ca, envelope: str
) -> None:
    name = f"{proxy.host}/ours/signed-{envelope}:1"
    assert clients.push("crane", "hello", name).status == 0
    digest = manifest(proxy.host, f"ours/signed-{envelope}", "1").headers["docker-content-digest"]
    key = MAKERS["p384"]()
    notation.has("vendor", key, ca.chain(leaf(key)))
    signed = notation.sign(f"{name.rpartition(':')[0]}@{digest}", envelope)
    assert signed.status == 0, signed.output
    assert notation.verify(name).status == 0
    listed = notation("list", "--insecure-registry", name).stdout
    assert listed.count("sha256:") == 4, listed


@pytest.mark.parametrize("algorithm", ["ecdsa-p384", "rsa-3072"])
def test_other_keys_of_ours(algorithm: str, ca: Ca, notation: Notation, clients: Clients, tmp_path: Path) -> None:
    """ES384 and PS384, made in the token."""
    with (
        UPSTREAMS["docker-registry"](tmp_path / "upstream") as upstream,
        certified(tmp_path / "proxy", upstream, ca, algorithm) as made,
    ):
        for repository in ("notation-jws/app", "notation-cose/app"):
            name = f"{made.host}/{repository}:1"
            assert clients.push("crane", "hello", name).status == 0
            verified = notation.verify(name)
            assert verified.status == 0, verified.output
            assert clients.pull("crane", name).status == 0


def served_at_last(proxy: Proxy, repository: str, reference: str) -> bool:
    """True once a denial from before, which is remembered for five seconds, is forgotten."""
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        if manifest(proxy.host, repository, reference).status == 200:
            return True
        time.sleep(0.1)
    return False
