"""One revision of the policies: a text, by whom, when, why, after which one; and the change that asks for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from proxy.journal.event import Event, EventKind

TEXT_BYTES = 256 * 1024
LINES_KEPT = 60  # of a difference, in the journal and in refusals


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


@dataclass(frozen=True)
class Change:
    """What is to be in force instead, by whom and why; `base` is the number of the revision it was made from."""

    text: str
    name: str
    base: int
    reason: str
    who: str
    how: str
    request_id: str = ""
    reverts: int | None = None


def event_of(revision: PolicyRevision, lines: list[str], change: Change | None = None) -> Event:
    """Return the row of the journal for this revision; `lines` say what is different."""
    cut = [*lines[:LINES_KEPT], f"and {len(lines) - LINES_KEPT} lines more"] if len(lines) > LINES_KEPT else lines
    detail = {"revision": revision.number, "hash": revision.hash, "reason": revision.reason, "changes": cut}
    if change is not None and change.reverts is not None:
        detail["reverts"] = change.reverts
    return Event(
        revision.at,
        EventKind.POLICY_CHANGED,
        revision.who,
        revision.how,
        request_id="" if change is None else change.request_id,
        policy_revision=revision.policies,
        detail=detail,
    )
