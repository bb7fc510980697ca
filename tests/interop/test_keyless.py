"""A bundle without a key, at a real registry: cosign verifies it, and the proxy serves what it is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.layouts import image
from proxy.oci.reference import Digest, parse_digest
from tests.interop.countersign import Proxy, countersign, own
from tests.interop.images import push
from tests.interop.peers import Ran, must, run
from tests.interop.registries import docker_registry
from tests.interop.wire import manifest
from tests.worlds.sigstore import IDENTITY, ISSUER, Sigstore, attested, statement_of

pytestmark = pytest.mark.go
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
WORLD, FOREIGN = Sigstore(), Sigstore()


@dataclass(frozen=True)
class Place:
    """A proxy that trusts one identity of one sigstore; images are made and signed behind its back."""

    proxy: Proxy
    folder: Path

    def signed(self, name: str, world: Sigstore, says: Callable[[Digest], bytes] = statement_of, **how: Any) -> str:
        """The digest of a new image in `team/NAME`, with a bundle of that world attached."""
        place = f"{self.proxy.upstream.host}/team/{name}"
        digest = push(image(self.folder / name, name), f"{place}:1")
        bundle = world.bundle(parse_digest(digest), payload=says(parse_digest(digest)), **how)
        (self.folder / f"{name}.json").write_text(json.dumps(bundle))
        attached: list[str | Path] = ["--artifact-type", BUNDLE, "--disable-path-validation", f"{place}@{digest}"]
        must("oras", "attach", "--plain-http", *attached, f"{self.folder / name}.json:{BUNDLE}", environment=self.home)
        return digest

    @property
    def home(self) -> dict[str, str]:
        return own(self.folder / "home")

    def cosign(self, name: str, digest: str, identity: str = IDENTITY, issuer: str = ISSUER) -> Ran:
        """What `cosign verify` says of it, behind the proxy."""
        known: list[str | Path] = ["--trusted-root", self.folder / "trusted_root.json"]
        known += ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]
        where = f"{self.proxy.upstream.host}/team/{name}@{digest}"
        return run("cosign", "verify", *known, where, environment=self.home)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("keyless")
    (folder / "trusted_root.json").write_bytes(WORLD.trusted_root())

    def trusting(settings: dict[str, Any]) -> None:
        entry = {"kind": "keyless", "issuer": ISSUER, "identities": [IDENTITY]}
        settings["trust"] = {"ci": {**entry, "trusted_root": str(folder / "trusted_root.json")}}
        require = [{"signed_by": ["ci"]}]
        settings["policies"].append({"repositories": ["team/**"], "pull": {"mode": "enforce", "require": require}})

    with (
        docker_registry(folder / "upstream") as upstream,
        countersign(folder / "proxy", upstream, trusting) as proxy,
    ):
        yield Place(proxy, folder)


def test_cosign_and_the_proxy_take_it(place: Place) -> None:
    digest = place.signed("good", WORLD)
    verified = place.cosign("good", digest)
    assert verified.status == 0, verified.output
    served = manifest(place.proxy.host, "team/good", "1")
    assert served.status == 200, served.body


@pytest.mark.parametrize(
    ("name", "world", "how"),
    [
        ("stranger", WORLD, {"identity": "stranger@example.com"}),
        ("issuer", WORLD, {"issuer": "https://evil.example.com"}),
        ("foreign", FOREIGN, {}),
        ("unlogged", WORLD, {"logged": False}),
    ],
)
def test_cosign_and_the_proxy_refuse_the_same(place: Place, name: str, world: Sigstore, how: dict[str, Any]) -> None:
    digest = place.signed(name, world, **how)
    assert place.cosign(name, digest).status != 0
    refused = manifest(place.proxy.host, f"team/{name}", "1")
    assert refused.status == 403
    assert b"blocked by" in refused.body


def test_an_attestation_is_no_signature(place: Place) -> None:
    place.signed("attested", WORLD, says=attested)
    assert manifest(place.proxy.host, "team/attested", "1").status == 403
