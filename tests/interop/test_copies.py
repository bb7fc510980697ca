"""Copies that bring their signatures, by every tool, each made twice: they end well, lose nothing and grow nothing.

The source is the registry behind another Countersign, where a partner has signed as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.layouts import image, index
from tests.interop.countersign import Proxy, own
from tests.interop.handmade import Handmade
from tests.interop.images import push
from tests.interop.peers import Ran, run
from tests.interop.shared import Here, Partner
from tests.interop.test_clients_cosign import sign
from tests.interop.wire import ask, manifest

pytestmark = pytest.mark.go


@dataclass(frozen=True)
class Source:
    """What is copied: an index of two images and an image, signed by that proxy and by a partner."""

    proxy: Proxy
    host: str
    repository: str
    digest: str
    children: Sequence[str]

    def name(self, reference: str = ":1") -> str:
        """How the registry behind calls it."""
        return f"{self.host}/{self.repository}{reference}"


@pytest.fixture
def source(anywhere: Here, proxies: Callable[[str], Proxy], partner: Partner) -> Source:
    """In another registry than the one that is copied to."""
    proxy = proxies("registry" if anywhere.upstream == "docker-registry" else "docker-registry")
    name = f"{proxy.host}/{anywhere.repository}-source"
    layout = index(anywhere.clients.fresh(), "a copy")
    assert push(layout, f"{name}:1") == layout.digest
    push(image(anywhere.clients.fresh(), "plain"), f"{name}:plain")
    for way in ("3-simple", "2"):
        signed = sign(partner, way, f"{name}@{layout.digest}", anywhere.clients.home)
        assert signed.status == 0, signed.output
    return Source(proxy, proxy.upstream.host, f"{anywhere.repository}-source", layout.digest, layout.children)


Copy = Callable[[Source, Here, Path], Ran]


def regctl(*flags: str) -> Copy:
    def copy(source: Source, to: Here, _: Path) -> Ran:
        plain = [part for host in (source.host, to.proxy.host) for part in ("--host", f"reg={host},tls=disabled")]
        return to.clients.run("regctl", *plain, "image", "copy", *flags, source.name(), to.name())

    return copy


def crane(source: Source, to: Here, _: Path) -> Ran:
    whole = f"{source.host}/{source.repository}", f"{to.proxy.host}/{to.repository}"
    return to.clients.run("crane", "cp", "--insecure", "-a", *whole)


def cosign_copy(source: Source, to: Here, _: Path) -> Ran:
    """Told to overwrite: it puts the image under `sha256-<its digest>` as well, where a list of referrers may lie."""
    return to.clients.run("cosign", "copy", "-f", "--allow-http-registry", source.name(), to.name())


def cosign_load(source: Source, to: Here, folder: Path) -> Ran:
    if not folder.exists():
        saved = to.clients.run("cosign2", "save", "--allow-http-registry", "--dir", folder, source.name())
        assert saved.status == 0, saved.output
    return to.clients.run("cosign2", "load", "--allow-http-registry", "--dir", folder, to.name())


def oras(source: Source, to: Here, _: Path) -> Ran:
    flags = ("cp", "-r", "--from-plain-http", "--to-plain-http")
    return to.clients.run("oras", *flags, source.name(), to.name())


def skopeo_sync(source: Source, to: Here, folder: Path) -> Ran:
    """The whole repository, all tags of it, in the order of their names."""
    listed = folder.with_suffix(".yaml")
    listed.write_text(json.dumps({source.host: {"tls-verify": False, "images": {source.repository: []}}}))
    flags = ("sync", "--all", "--dest-tls-verify=false", "--src", "yaml", "--dest", "docker")
    there = f"{to.proxy.host}/{to.repository.rpartition('/')[0]}"
    return to.clients.run("skopeo", *flags, listed, there)


def skopeo_copies(source: Source, to: Here, _: Path) -> Ran:
    """First the signatures, then what they sign: nobody says in which order a script goes through tags."""
    flags = ("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false")
    done = Ran(0, "", "")
    for tag in (*(tag for tag in tags(source.host, source.repository) if tag.startswith("sha256-")), "1"):
        done = to.clients.run("skopeo", *flags, f"docker://{source.name(f':{tag}')}", f"docker://{to.name(f':{tag}')}")
        if done.status:
            return done
    return done


TOOLS: Mapping[str, Copy] = {
    "regctl digest-tags": regctl("--digest-tags"),
    "regctl both": regctl("--digest-tags", "--referrers"),
    "crane": crane,
    "cosign copy": cosign_copy,
    "cosign load": cosign_load,
    "oras": oras,
    "skopeo sync": skopeo_sync,
    "skopeo copy": skopeo_copies,
}
BRING_SIG = set(TOOLS) - {"oras"}


def tags(host: str, repository: str) -> list[str]:
    """All tags there."""
    listed: list[str] = json.loads(ask(host, "GET", f"/v2/{repository}/tags/list").body)["tags"]
    return sorted(listed)


def state(host: str, repository: str) -> dict[str, str]:
    """What each tag points at."""
    return {tag: manifest(host, repository, tag).headers["docker-content-digest"] for tag in tags(host, repository)}


def signatures(host: str, repository: str, digest: str) -> set[str]:
    """What stands in the `.sig` of that digest; empty where there is none."""
    found = manifest(host, repository, f"{digest.replace(':', '-')}.sig")
    listed = found.json()["layers"] if found.status == 200 else []
    return {layer["annotations"]["dev.cosignproject.cosign/signature"] for layer in listed}


EVERY = [("docker-registry", tool) for tool in TOOLS]
SOME = [(upstream, tool) for upstream in ("registry", "referrers") for tool in ("regctl both", "crane", "cosign load")]


@pytest.mark.parametrize(("anywhere", "tool"), [*EVERY, *SOME], indirect=["anywhere"])
def test_a_copy_and_the_same_again_the_next_night(
    anywhere: Here, source: Source, partner: Partner, tool: str, tmp_path: Path
) -> None:
    here = anywhere
    if tool == "skopeo sync":  # which names what it copies to after what it copies
        here = Here(here.proxy, source.repository, here.clients, here.verifiers, here.upstream)
    behind = here.proxy.upstream.host
    states = []
    for _ in range(3):
        copied = TOOLS[tool](source, here, tmp_path / "saved")
        assert copied.status == 0, copied.output
        states.append(state(behind, here.repository))
    assert states[1] == states[2], "nothing changes any more"
    here.verifiers.accept(here.repository, "1", source.digest, source.children)
    ours = signatures(behind, here.repository, source.digest)
    brought = signatures(source.host, source.repository, source.digest)
    assert len(brought) == 3
    assert (brought <= ours) is (tool in BRING_SIG)
    if tool in BRING_SIG:
        theirs = here.verifiers.of(partner.public)
        theirs.accepted("cosign", tool, theirs.cosign(f"{here.repository}:1", "--new-bundle-format=false"))
    assert "[NO]" not in here.proxy("doctor").output


@pytest.mark.parametrize(
    ("anywhere", "tool"),
    [*(("docker-registry", tool) for tool in ("regctl both", "crane", "cosign copy", "oras")), ("referrers", "oras")],
    indirect=["anywhere"],
)
def test_a_copy_within_one_registry_brings_none_of_the_other_repositorys(
    anywhere: Here, partner: Partner, tool: str, tmp_path: Path
) -> None:
    here = anywhere
    layout = index(here.clients.fresh(), "a copy")
    name = f"{here.proxy.host}/{here.repository}-own"
    push(layout, f"{name}:1")
    assert sign(partner, "3-simple", f"{name}@{layout.digest}", here.clients.home).status == 0
    itself = Source(here.proxy, here.proxy.host, f"{here.repository}-own", layout.digest, layout.children)
    for _ in range(2):
        copied = TOOLS[tool](itself, here, tmp_path / "saved")
        assert copied.status == 0, copied.output
    here.verifiers.accept(here.repository, "1", layout.digest, layout.children)
    behind = here.proxy.upstream.host
    of_source = signatures(behind, itself.repository, layout.digest)
    assert len(signatures(behind, here.repository, layout.digest) & of_source) == (tool != "oras"), "the partner's"


def test_what_was_deleted_does_not_come_back_with_a_copy(anywhere: Here, tmp_path: Path) -> None:
    here = anywhere
    layout = index(here.clients.fresh(), "kept")
    push(layout, here.name())
    list_of = f"{layout.digest.replace(':', '-')}.sig"
    before = manifest(here.proxy.host, here.repository, list_of)
    kept = f"docker://{here.name(f':{list_of}')}"
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    saved = here.clients.run("skopeo", "copy", "--preserve-digests", plain[0], kept, f"oci:{tmp_path / 'saved'}:1")
    assert saved.status == 0, saved.output
    for reference in (list_of, before.headers["docker-content-digest"]):  # Debian's knows the second alone, others both
        ask(here.proxy.host, "DELETE", f"/v2/{here.repository}/manifests/{reference}")
    assert manifest(here.proxy.host, here.repository, list_of).status == 404
    copied = here.clients.run("skopeo", "copy", "--preserve-digests", plain[1], f"oci:{tmp_path / 'saved'}:1", kept)
    assert copied.status == 0, copied.output
    assert not signatures(here.proxy.upstream.host, here.repository, layout.digest)


def test_attestations_and_sboms_under_tags_of_their_own(here: Here, partner: Partner, tmp_path: Path) -> None:
    behind, name = here.proxy.upstream.host, f"{here.repository}-source"
    digest = push(image(here.clients.fresh(), "attested"), f"{behind}/{name}:1")
    (tmp_path / "predicate.json").write_text("{}")
    flags = ("--tlog-upload=false", "--yes", "--key", partner.cosign_key(), "--predicate", tmp_path / "predicate.json")
    home = own(here.clients.home)
    attested = run("cosign2", "attest", *flags, f"{behind}/{name}@{digest}", environment=home)
    assert attested.status == 0, attested.output
    pushes = Handmade(behind, name)
    sbom = pushes.blob(b"SPDXVersion: SPDX-2.3", "text/spdx")
    config = pushes.blob(b"{}", "application/vnd.oci.image.config.v1+json")
    kind = "application/vnd.oci.image.manifest.v1+json"
    body = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [sbom]}
    pushes.manifest(body, kind, f"{digest.replace(':', '-')}.sbom")
    from_there = Source(here.proxy, behind, name, digest, ())
    for _ in range(2):
        for tool in ("regctl digest-tags", "crane", "cosign copy"):
            copied = TOOLS[tool](from_there, here, tmp_path / "saved")
            assert copied.status == 0, copied.output
    there = tags(here.proxy.host, here.repository)
    assert {f"{digest.replace(':', '-')}.{kind}" for kind in ("att", "sbom", "sig")} <= set(there)
    for tag in there:
        assert manifest(here.proxy.host, here.repository, tag).status == 200, tag
