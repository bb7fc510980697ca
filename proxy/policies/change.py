"""A change of the policies that somebody asks for, and its row in the journal."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.journal.event import Event, EventKind
from proxy.policies.revision import PolicyRevision

LINES_KEPT = 60  # of a difference, in the journal and in refusals


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
