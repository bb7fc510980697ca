"""Reports made of the journal's rows: recently pulled images, and pulls that enforcing would deny."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, func, select

from proxy.journal.event import EventKind
from proxy.journal.port import Pulled
from proxy.journal.rows import journal
from proxy.oci.faults import Fault
from proxy.oci.reference import parse_digest, parse_reference, parse_repository
from proxy.trust.question import NOTHING

SERVED = frozenset({EventKind.PULL_ALLOWED, EventKind.PULL_WARNED})
JUDGED = (*sorted(SERVED), EventKind.PULL_DENIED, EventKind.PULL_EXCEPTED)


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


@dataclass(frozen=True)
class WouldBlock:
    """One image under one reference: how often a warning let it through, why, and when last. Enforcing would deny it.

    `reasons` are (reason code, pulls), the commonest first. `decision_id` is the newest decision, for `why`.
    """

    repository: str
    reference: str
    count: int
    reasons: tuple[tuple[str, int], ...]
    last: datetime
    decision_id: str


@dataclass(frozen=True)
class Warned:
    """Pulls of one image under one reference for one reason; `position` orders the decisions."""

    repository: str
    reference: str
    reason: str
    count: int
    last: datetime
    position: int
    decision_id: str


def summed(warned: Iterable[Warned]) -> tuple[WouldBlock, ...]:
    """Return one line per image and reference, the most pulled first."""
    ordered = sorted(warned, key=_name)
    lines = (_line([*group]) for _, group in groupby(ordered, key=_name))
    return tuple(sorted(lines, key=lambda line: (-line.count, line.repository, line.reference)))


def would_block(connection: Connection, since: datetime) -> tuple[WouldBlock, ...]:
    """Return images pulled with a warning since then."""
    groups = (
        select(
            journal.c.repository,
            journal.c.reference,
            journal.c.reason,
            func.sum(journal.c.count).label("pulls"),
            func.max(journal.c.last, type_=journal.c.last.type).label("latest"),
            func.max(journal.c.position).label("position"),
        )
        .where(journal.c.kind == EventKind.PULL_WARNED, journal.c.last >= since)
        .group_by(journal.c.repository, journal.c.reference, journal.c.reason)
        .subquery()
    )
    newest = select(groups, journal.c.decision_id).join(journal, journal.c.position == groups.c.position)
    return summed(
        Warned(r.repository, r.reference, r.reason, int(r.pulls), r.latest, r.position, r.decision_id)
        for r in connection.execute(newest)
    )


def _name(warned: Warned) -> tuple[str, str]:
    return warned.repository, warned.reference


def _line(group: list[Warned]) -> WouldBlock:
    pulls: dict[str, int] = {}
    for warned in group:
        pulls[warned.reason] = pulls.get(warned.reason, 0) + warned.count
    reasons = tuple(sorted(pulls.items(), key=lambda pair: (-pair[1], pair[0])))
    newest = max(group, key=lambda warned: warned.position)
    last = max(warned.last for warned in group)
    return WouldBlock(newest.repository, newest.reference, sum(pulls.values()), reasons, last, newest.decision_id)
