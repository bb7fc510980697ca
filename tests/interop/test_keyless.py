"""A bundle without a key, at a real registry: cosign verifies it, and the proxy serves what it is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.layouts import image
from proxy.formats import timestamp
from proxy.formats.certificate import from_pem
from proxy.oci.reference import Digest, parse_digest
from tests.interop.countersign import Proxy, countersign, own
from tests.interop.images import push
from tests.interop.peers import Ran, must, run
from tests.interop.registries import docker_registry
from tests.interop.timestamps import make_openssl_authority, openssl_reply
from tests.interop.wire import manifest
from tests.worlds.sigstore import IDENTITY, ISSUER, Sigstore, attested, statement_of

pytestmark = pytest.mark.go
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
WORLD, FOREIGN = Sigstore(), Sigstore()


@dataclass(frozen=True)
class Stamper:
    """A timestamp authority of OpenSSL's, in a folder."""

    config: Path

    @classmethod
    def made(cls, folder: Path) -> Stamper:
        """A new one. It sends its own certificate alone: OpenSSL does not sort several, as DER wants (X.690 11.6)."""
        config = make_openssl_authority(folder)
        config.write_text("".join(f"{line}\n" for line in config.read_text().splitlines() if "certs =" not in line))
        return cls(config)

    def __call__(self, signature: bytes) -> bytes:
        return openssl_reply(self.config, timestamp.request(signature).body)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Its certificates, signer to root."""
        return tuple(from_pem((self.config.parent / name).read_bytes())[0] for name in ("tsa.pem", "root.pem"))


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

    def cosign(self, name: str, digest: str, *flags: str) -> Ran:
        """What `cosign verify` says of it, behind the proxy."""
        known: list[str | Path] = ["--trusted-root", self.folder / "trusted_root.json", *flags]
        known += ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER]
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


def test_a_log_without_times_and_a_timestamp(place: Place, tmp_path: Path) -> None:
    """The second generation: the log proves that it includes the signature, and an authority says when it was made."""
    stamper, stranger = Stamper.made(tmp_path / "a"), Stamper.made(tmp_path / "b")
    world = Sigstore(stampers=stamper.chain)
    root = place.folder / "trusted_root.json"
    before = root.read_bytes()
    root.write_bytes(world.trusted_root())
    try:
        place.proxy.edit(lambda _: None)
        now = datetime.now(UTC) - timedelta(seconds=5)
        at = {
            "stamped": (now, stamper, True),
            "stamped-by-a-stranger": (now, stranger, False),
            "stamped-too-late": (now - timedelta(hours=1), stamper, False),
        }
        for name, (moment, stamp, counts) in at.items():
            digest = place.signed(name, world, at=moment, stamp=stamp)
            verified = place.cosign(name, digest, "--use-signed-timestamps")
            assert (verified.status == 0) is counts, verified.output
            assert manifest(place.proxy.host, f"team/{name}", "1").status == (200 if counts else 403), name
    finally:
        root.write_bytes(before)
        place.proxy.edit(lambda _: None)


def test_an_attestation_is_no_signature(place: Place) -> None:
    place.signed("attested", WORLD, says=attested)
    assert manifest(place.proxy.host, "team/attested", "1").status == 403
