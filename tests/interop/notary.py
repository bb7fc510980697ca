"""The notation client with a folder of its own: keys and certificates to sign with, a trust store and policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_public_key

from tests.interop.countersign import own
from tests.interop.peers import Ran, run
from tests.worlds.certificates import LEAF, Holder, authority, chain_of, issued, pem
from tests.worlds.softkey import PrivateKey

SUBJECT = "x509.subject: C=DE, ST=Berlin, O=Example"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
END = START + timedelta(days=2)


@dataclass(frozen=True)
class Ca:
    """A root and an intermediate CA, valid now, for this test alone; `certificates` are theirs, the root's last."""

    issuing: Holder
    certificates: tuple[bytes, ...]

    @property
    def roots(self) -> tuple[bytes, ...]:
        """What those who trust it have."""
        return self.certificates[1:]

    def chain(self, leaf: Holder) -> tuple[bytes, ...]:
        """The leaf's chain, as this CA issues it."""
        return (issued(leaf, self.issuing), *self.certificates)

    def chain_for(self, spki: bytes) -> tuple[bytes, ...]:
        """A chain for a public key whose private half nobody but its token has."""
        key = load_der_public_key(spki)
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        return (issued(Holder("countersign", LEAF, first=START, last=END), self.issuing, key), *self.certificates)


def new_ca() -> Ca:
    """A new one."""
    root = Holder("root", authority(), first=START, last=END)
    issuing = Holder("issuing", authority(0), first=START, last=END)
    return Ca(issuing, chain_of(issuing, root))


def leaf(key: PrivateKey | None = None) -> Holder:
    """Somebody who signs images with notation."""
    made = Holder("vendor", LEAF, first=START, last=END)
    return made if key is None else Holder("vendor", LEAF, key, START, END)


@dataclass(frozen=True)
class Notation:
    """The client, as somebody who trusts these certificates runs it."""

    home: Path

    @property
    def _place(self) -> Path:
        return self.home / "notation"

    def __call__(self, *arguments: str | Path) -> Ran:
        """What `notation ARGUMENTS` did."""
        return run("notation", *arguments, environment=own(self.home))

    def trusts(self, roots: Sequence[bytes], identity: str = SUBJECT) -> None:
        """It verifies signatures of everybody these certify under that identity, and of nobody else."""
        store = self._place / "truststore" / "x509" / "ca" / "test"
        store.mkdir(parents=True, exist_ok=True)
        (store / "ca.pem").write_text(pem(roots))
        policy = {
            "name": "test",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:test"],
            "trustedIdentities": [identity],
        }
        (self._place / "trustpolicy.json").write_text(json.dumps({"version": "1.0", "trustPolicies": [policy]}))

    def has(self, name: str, key: PrivateKey, chain: Sequence[bytes]) -> None:
        """It can sign with this key under that name."""
        self._place.mkdir(parents=True, exist_ok=True)
        private, certificates = self._place / f"{name}.key", self._place / f"{name}.crt"
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        certificates.write_text(pem(chain))
        entry = {"name": name, "keyPath": str(private), "certPath": str(certificates)}
        (self._place / "signingkeys.json").write_text(json.dumps({"default": name, "keys": [entry]}))

    def sign(self, name: str, envelope: str, *flags: str) -> Ran:
        """What signing that image did."""
        return self("sign", "--insecure-registry", "--signature-format", envelope, *flags, name)

    def verify(self, name: str) -> Ran:
        """What it says of that image."""
        return self("verify", "--insecure-registry", "--verbose", name)
