"""Which journal events are one row with a count, and which may reach the disk a moment later. Pure."""

from __future__ import annotations

import hashlib

from proxy.journal.event import Event, EventKind
from proxy.store.canonical import canonical

# Warm pulls do not wait for the disk. Everything else, exceptions made for a caller included, is durable first.
_MAY_FOLLOW = frozenset({EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.TURNED_AWAY})
COUNT = "count"


def may_follow(event: Event) -> bool:
    """True when the answer may be sent before this event is on disk.

    Of exceptions, those that root made on the host because nothing answered: the store may be what is away.
    """
    return event.kind in _MAY_FOLLOW or (event.kind is EventKind.PULL_EXCEPTED and bool(event.detail.get("offline")))


def same_row(event: Event) -> tuple[str, ...]:
    """Return what two events share that are one row: decision, caller, hour, and what was asked and answered.

    Without a decision the reference does not count: whatever was tried, it was refused for one reason.
    """
    hour = event.at.isoformat()[: len("2026-01-02T12")]
    who = (event.decision_id, event.who, event.how)
    reference = event.reference if event.decision_id else ""
    return (*who, event.kind, event.repository, reference, event.reason, hour)


def row_key(event: Event) -> str:
    """Return the hash of that, by which the row is found."""
    return hashlib.sha256(canonical(same_row(event)).encode()).hexdigest()


def with_count(event: Event, count: int) -> Event:
    """Return the event as it is read back: how often it happened stands in `detail` once that is more than once."""
    return event if count == 1 else event._replace(detail={**event.detail, COUNT: count})
