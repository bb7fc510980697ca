"""One revision of the policies, as it was given: a text, by whom, when, why, and after which one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

TEXT_BYTES = 256 * 1024


@dataclass(frozen=True)
class PolicyRevision:
    """Revisions are numbered from 1 and never change; what is put back is a new one with an old text.

    `policies` is the revision that decisions name: the hash of what the text came to when it was written.
    """

    number: int
    parent: str  # the hash of the one before; empty for the first
    text: str = field(repr=False)
    policies: str
    at: datetime
    who: str
    how: str
    reason: str

    @property
    def hash(self) -> str:
        """Hex SHA-256 of all of it: who changes a stored text, a name or a time is noticed by whoever reads it."""
        told = [self.number, self.parent, self.text, self.policies, self.at.isoformat(timespec="microseconds")]
        written = json.dumps([*told, self.who, self.how, self.reason], separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"revision {self.number} of the policies (by {self.who}, {self.at:%Y-%m-%d %H:%M}Z: {self.reason})"
