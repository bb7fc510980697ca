"""Recently pulled images, to be judged again: one line for each repository, reference and digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from proxy.journal.event import EventKind
from proxy.journal.port import Pulled
from proxy.oci.faults import Fault
from proxy.oci.reference import parse_digest, parse_reference, parse_repository
from proxy.store.tables import journal
from proxy.trust.question import NOTHING

SERVED = frozenset({EventKind.PULL_ALLOWED.value, EventKind.PULL_WARNED.value})
JUDGED = (*sorted(SERVED), EventKind.PULL_DENIED.value, EventKind.PULL_EXCEPTED.value)


def pulled(connection: Connection, since: datetime, limit: int) -> tuple[Pulled, ...]:
    """Return images pulled since then, served or not, newest first; `served` is the last policy verdict."""
    names = (journal.c.repository, journal.c.reference, journal.c.digest)
    groups = (
        select(
            func.sum(journal.c.count).label("pulls"),
            func.max(journal.c.last, type_=journal.c.last.type).label("latest"),
            func.max(journal.c.position).label("position"),
        )
        .where(journal.c.kind.in_(JUDGED), journal.c.last >= since, journal.c.digest.not_in(("", NOTHING)))
        .group_by(*names)
        .order_by(func.max(journal.c.last).desc(), func.max(journal.c.position).desc())
        .limit(limit)
        .subquery()
    )
    newest = select(groups, *names, journal.c.kind, journal.c.decision_id).join(
        journal, journal.c.position == groups.c.position
    )
    rows = sorted(connection.execute(newest), key=lambda row: (row.latest, row.position), reverse=True)
    return tuple(_understood(rows))


def _understood(rows: Iterable[Row[Any]]) -> Iterator[Pulled]:
    for row in rows:
        try:
            names = parse_repository(row.repository), parse_reference(row.reference), parse_digest(row.digest)
        except Fault:
            continue  # an invalid name was never served
        yield Pulled(*names, row.kind in SERVED, int(row.pulls), row.latest, row.decision_id)
