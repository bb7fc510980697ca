"""Somebody else's certificate authority: which chains it vouches for, as configuration says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

ANYBODY = "*"


@dataclass(frozen=True)
class Subject:
    """Attributes (dotted object identifier, value) that a leaf's subject must have; `*` asks for none."""

    text: str
    attributes: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Authority:
    """One `trust` entry of kind x509: `roots` are DER certificates, `identities` whom they may vouch for."""

    name: str
    roots: frozenset[bytes]
    identities: tuple[Subject, ...]

    @property
    def fingerprint(self) -> str:
        """Return the hex SHA-256 of its certificates: the same authority under two names is one."""
        return hashlib.sha256(b"".join(hashlib.sha256(root).digest() for root in sorted(self.roots))).hexdigest()
