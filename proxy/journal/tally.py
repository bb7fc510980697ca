"""Which journal events share a row with a count, and which may reach the disk a moment later. Pure."""

from __future__ import annotations

import hashlib

from proxy.journal.event import Event, EventKind
from proxy.store.canonical import canonical

# Warm pulls do not wait for the disk. All other events, exceptions made for a caller included, are durable first.
_MAY_FOLLOW = frozenset({EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.TURNED_AWAY})
COUNT = "count"


def may_follow(event: Event) -> bool:
    """True when the answer may be sent before this event is on disk.

    Among exceptions, only those that root made on the host during an outage: the store itself may be down.
    """
    return event.kind in _MAY_FOLLOW or (event.kind is EventKind.PULL_EXCEPTED and bool(event.detail.get("offline")))


def same_row(event: Event) -> tuple[str, ...]:
    """Return the key that events of one row share: decision, caller, hour, request and answer.

    Without a decision the reference does not count: whatever was tried, it was refused for one reason.
    """
    hour = event.at.isoformat()[: len("2026-01-02T12")]
    who = (event.decision_id, event.who, event.how)
    reference = event.reference if event.decision_id else ""
    return (*who, event.kind, event.repository, reference, event.reason, hour)


def row_key(event: Event) -> str:
    """Return the hash of `same_row`, by which the row is found."""
    return hashlib.sha256(canonical(same_row(event)).encode()).hexdigest()


def with_count(event: Event, count: int) -> Event:
    """Return the event as it is read back: `detail` has the count if it is more than one."""
    return event if count == 1 else event._replace(detail={**event.detail, COUNT: count})
