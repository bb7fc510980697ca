"""One revision of the policies (text, author, time, reason, predecessor), and the request for a new one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from proxy.journal.event import Event, EventKind
from proxy.trust.actor import Actor

TEXT_BYTES = 256 * 1024
LINES_KEPT = 60  # of a difference, in the journal and in refusals


@dataclass(frozen=True)
class PolicyRevision:
    """Revisions are numbered from 1 and never change; restoring an old text makes a new revision.

    `policies` is the revision named by decisions: the hash of the policies in the text at the time it was written.
    """

    number: int
    parent: str  # the hash of the previous revision; empty for the first
    text: str = field(repr=False)
    policies: str
    at: datetime
    who: str
    how: str
    reason: str

    @property
    def hash(self) -> str:
        """Hex SHA-256 of all fields: a reader detects any change to the stored text, name or time."""
        told = [self.number, self.parent, self.text, self.policies, self.at.isoformat(timespec="microseconds")]
        written = json.dumps([*told, self.who, self.how, self.reason], separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of the revision in messages."""
        return f"revision {self.number} of the policies (by {self.who}, {self.at:%Y-%m-%d %H:%M}Z: {self.reason})"


@dataclass(frozen=True)
class Change:
    """A request of `by` to put another text in force; `base` is the revision number it starts from."""

    text: str
    name: str
    base: int
    by: Actor
    reverts: int | None = None


def event_of(revision: PolicyRevision, lines: list[str], change: Change | None = None) -> Event:
    """Return the journal row for this revision; `lines` describe the differences."""
    cut = [*lines[:LINES_KEPT], f"and {len(lines) - LINES_KEPT} lines more"] if len(lines) > LINES_KEPT else lines
    detail = {"revision": revision.number, "hash": revision.hash, "reason": revision.reason, "changes": cut}
    if change is not None and change.reverts is not None:
        detail["reverts"] = change.reverts
    return Event(
        revision.at,
        EventKind.POLICY_CHANGED,
        revision.who,
        revision.how,
        request_id="" if change is None else change.by.request_id,
        policy_revision=revision.policies,
        detail=detail,
    )
