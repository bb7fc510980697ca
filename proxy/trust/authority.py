"""External authorities: certificate authorities and keyless signers, and whom each vouches for, by configuration."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

ANYBODY = "*"


@dataclass(frozen=True)
class Subject:
    """Attributes (dotted object identifier, value) that a leaf's subject must have; `*` requires none."""

    text: str
    attributes: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Authority:
    """One `trust` entry of kind x509: `roots` are DER certificates, `identities` the signers they may vouch for.

    `tsa_roots` are the timestamp authorities whose times count here. With `crl` (files and URLs), certificates are
    checked against revocation lists, and `lists` are the current ones (DER); `allow_unlisted` accepts a signature if
    that check is not possible.
    """

    name: str
    roots: frozenset[bytes]
    identities: tuple[Subject, ...]
    tsa_roots: frozenset[bytes] = frozenset()
    crl: tuple[str, ...] = ()
    allow_unlisted: bool = False
    lists: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def fingerprint(self) -> str:
        """Return the hex SHA-256 of its certificates: the same authority under two names is one."""
        return hashlib.sha256(b"".join(hashlib.sha256(root).digest() for root in sorted(self.roots))).hexdigest()


@dataclass(frozen=True)
class KeylessSigner:
    """One `trust` entry of kind keyless. `trusted_root` is the file that names the trusted CA and logs."""

    name: str
    issuer: str
    identities: tuple[str, ...]
    trusted_root: bytes

    def fingerprint(self, identity: str) -> str:
        """Return the signer's identifier: under another root, another person may claim the same identity.

        Two roots do not make two signers, however: see `KeyRing.counted_as`.
        """
        whole = [hashlib.sha256(self.trusted_root).hexdigest(), self.issuer, identity]
        return hashlib.sha256(json.dumps(["keyless", *whole]).encode()).hexdigest()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Return the fingerprint of each identity, in their order."""
        return tuple(self.fingerprint(identity) for identity in self.identities)


@dataclass(frozen=True)
class KeylessResult:
    """A bundle that verifies: the matching identity of the signer, and the signed payload with its type."""

    identity: str
    payload_type: str
    payload: bytes
