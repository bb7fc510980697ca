"""Signers without a key of their own: whom an issuer names, in a certificate of minutes that a public log has seen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class KeylessSigner:
    """One `trust` entry of kind keyless. `trusted_root` is the file that says which CA and which logs are believed."""

    name: str
    issuer: str
    identities: tuple[str, ...]
    trusted_root: bytes

    def fingerprint(self, identity: str) -> str:
        """Return what this signer is told apart by: under another root the identity may be claimed by somebody else.

        It is not counted as a second one for that: see `KeyRing.counted_as`.
        """
        whole = [hashlib.sha256(self.trusted_root).hexdigest(), self.issuer, identity]
        return hashlib.sha256(json.dumps(["keyless", *whole]).encode()).hexdigest()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Return the fingerprint of each identity, in their order."""
        return tuple(self.fingerprint(identity) for identity in self.identities)


@dataclass(frozen=True)
class KeylessResult:
    """A bundle that verifies: the identity out of the signer's list, and the payload that was signed, with its type."""

    identity: str
    payload_type: str
    payload: bytes
