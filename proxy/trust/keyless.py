"""Keyless signers: named by an issuer in a short-lived certificate that a public log has recorded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


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
