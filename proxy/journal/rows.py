"""The tables of the journal and its rows: which events share a row with a count, which may reach the disk later."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Column, Connection, Index, Row, Table, Text, insert

from proxy.journal.event import Event, EventKind
from proxy.journal.in_flight import announce
from proxy.oci.strict_json import canonical
from proxy.store.database import insert_once
from proxy.store.tables import BIG, Chosen, Foreign, Instant, Json, metadata, value_of, values_of
from proxy.trust.explain import as_json, from_json

_TEXTS = ("who", "how", "repository", "reference", "digest", "reason", "decision_id", "request_id")
journal = Table(
    "journal",
    metadata,
    Column("position", BIG, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("last", Instant, nullable=False),  # of a counted row: the time of the last event
    Column("kind", Chosen(EventKind), nullable=False),
    *(Column(name, Foreign, nullable=False) for name in (*_TEXTS, "policy_revision", "key_revision")),
    Column("detail", Json(write=dict), nullable=False),
    Column("count", BIG, nullable=False),
    Column("tally", Text, unique=True),  # the key of a counted row; NULL: a row of its own
    Index("journal_by_kind", "kind", "position"),
    Index("journal_by_repository", "repository", "position"),
    Index("journal_by_digest", "digest", "position"),
    sqlite_autoincrement=True,
)
decisions = Table(
    "decisions",
    metadata,
    Column("id", Foreign, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("decision", Json(from_json, as_json), nullable=False),
)
# The whole text of each policy, configuration and key book under its hash.
revisions = Table(
    "revisions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("body", Text, nullable=False),
)


def append_rows(connection: Connection, events: tuple[Event, ...]) -> None:
    """Write these rows in the caller's transaction."""
    announce(connection)
    connection.execute(insert(journal), [row_of(event) for event in events])


def keep_text(connection: Connection, kind: str, revision: str, body: str) -> None:
    """Store this text under its hash in the caller's transaction, unless it is there."""
    once = insert_once(connection.dialect.name, revisions)
    connection.execute(once, {"kind": kind, "revision": revision, "body": body})


def row_of(event: Event) -> dict[str, Any]:
    return values_of(event) | {"last": event.at, "count": 1, "tally": None}


def event_of(row: Row[Any]) -> Event:
    return with_count(value_of(Event, row), row._mapping["count"])  # noqa: SLF001  # row.count is a method


# Warm pulls do not wait for the disk. All other events, exceptions made for a caller included, are durable first.
_MAY_FOLLOW = frozenset({EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.TURNED_AWAY})
# Of these the first of an hour is durable before it is answered; those after it only count.
FIRST_WAITS = frozenset({EventKind.AUDIT_READ})
COUNT = "count"


def may_follow(event: Event) -> bool:
    """True when the answer may be sent before this event is on disk.

    Among exceptions, only those that root made on the host during an outage: the store itself may be down.
    """
    return event.kind in _MAY_FOLLOW or (event.kind is EventKind.PULL_EXCEPTED and bool(event.detail.get("offline")))


def same_row(event: Event) -> tuple[str, ...]:
    """Return the key that events of one row share: decision, caller, hour, request and answer.

    Without a decision the reference does not count: whatever was tried, it was refused for one reason. Of a reading
    call it is the name of the call.
    """
    hour = event.at.isoformat()[: len("2026-01-02T12")]
    who = (event.decision_id, event.who, event.how)
    reference = event.reference if event.decision_id or event.kind in FIRST_WAITS else ""
    return (*who, event.kind, event.repository, reference, event.reason, hour)


def row_key(event: Event) -> str:
    """Return the hash of `same_row`, by which the row is found."""
    return hashlib.sha256(canonical(same_row(event)).encode()).hexdigest()


def with_count(event: Event, count: int) -> Event:
    """Return the event as it is read back: `detail` has the count if it is more than one."""
    return event if count == 1 else event._replace(detail={**event.detail, COUNT: count})
