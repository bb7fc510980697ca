"""External certificate authorities: the chains each one vouches for, by configuration."""

from __future__ import annotations

import hashlib
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
