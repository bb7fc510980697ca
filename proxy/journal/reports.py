"""Reports made of the journal's rows: recently pulled images, and pulls that enforcing would deny."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Subquery, and_, func, select

from proxy.journal.event import FROM, EventKind
from proxy.journal.port import NOT_KNOWN, Callers, Pulled
from proxy.journal.rows import journal
from proxy.oci.faults import Fault
from proxy.oci.reference import parse_digest, parse_reference, parse_repository
from proxy.trust.question import NOTHING

SERVED = frozenset({EventKind.PULL_ALLOWED, EventKind.PULL_WARNED})
JUDGED = (*sorted(SERVED), EventKind.PULL_DENIED, EventKind.PULL_EXCEPTED)
NAMED = 5  # callers named for each image; all are counted


def pulled(connection: Connection, since: datetime, limit: int, repository: str = "") -> tuple[Pulled, ...]:
    """Return images pulled since then, served or not, newest first; `served` is the last policy verdict."""
    names = (journal.c.repository, journal.c.reference, journal.c.digest)
    where = [journal.c.kind.in_(JUDGED), journal.c.last >= since, journal.c.digest.not_in(("", NOTHING))]
    where += [journal.c.repository == repository] if repository else []
    groups = (
        select(
            func.sum(journal.c.count).label("pulls"),
            func.max(journal.c.last, type_=journal.c.last.type).label("latest"),
            func.max(journal.c.position).label("position"),
            *names,
        )
        .where(*where)
        .group_by(*names)
        .order_by(func.max(journal.c.last).desc(), func.max(journal.c.position).desc())
        .limit(limit)
        .subquery()
    )
    newest = select(groups, journal.c.kind, journal.c.decision_id).join(
        journal, journal.c.position == groups.c.position
    )
    rows = sorted(connection.execute(newest), key=lambda row: (row.latest, row.position), reverse=True)
    return tuple(_understood(rows, _callers(connection, names, where, groups)))


def _understood(rows: Iterable[Row[Any]], callers: Mapping[tuple[str, ...], Callers]) -> Iterator[Pulled]:
    for row in rows:
        try:
            names = parse_repository(row.repository), parse_reference(row.reference), parse_digest(row.digest)
        except Fault:
            continue  # an invalid name was never served
        yield Pulled(
            *names, row.kind in SERVED, int(row.pulls), row.latest, row.decision_id, callers.get(names, NOT_KNOWN)
        )


def _callers(
    connection: Connection,
    names: Sequence[Column[Any]],
    where: Sequence[ColumnElement[bool]],
    of: Subquery | None = None,
) -> dict[tuple[str, ...], Callers]:
    """Return who pulled each image, or each of these groups, by the values of its names."""
    last, position = func.max(journal.c.last).label("latest"), func.max(journal.c.position).label("position")
    each = select(last, position, *names).where(*where).group_by(*names, journal.c.who).subquery()
    image = [each.c[name.name] for name in names]
    order = func.row_number().over(partition_by=image, order_by=(each.c.latest.desc(), each.c.position.desc()))
    places = select(each.c.position, order.label("place"), func.count().over(partition_by=image).label("callers"))
    if of is not None:
        places = places.join(of, and_(*(of.c[name.name] == each.c[name.name] for name in names)))
    ranked = places.subquery()
    latest = (
        select(*names, journal.c.who, journal.c.detail, ranked.c.callers)
        .join(ranked, journal.c.position == ranked.c.position)
        .where(ranked.c.place <= NAMED)
        .order_by(ranked.c.place)
    )
    found: dict[tuple[str, ...], Callers] = {}
    for row in connection.execute(latest):
        key = tuple(row[: len(names)])
        there = found.get(key, NOT_KNOWN)
        found[key] = Callers(row.callers, (*there.names, caller(row.who, row.detail)))
    return found


def caller(who: str, detail: Mapping[str, Any]) -> str:
    """Return the name of a caller for people; without a proven name also the address, as far as it is recorded."""
    address = detail.get(FROM, "")
    return f"{who} ({address})" if address else who


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
    callers: Callers = NOT_KNOWN


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


def summed(warned: Iterable[Warned], callers: Mapping[tuple[str, ...], Callers]) -> tuple[WouldBlock, ...]:
    """Return one line per image and reference, the most pulled first."""
    ordered = sorted(warned, key=_name)
    lines = (_line([*group], callers.get(name, NOT_KNOWN)) for name, group in groupby(ordered, key=_name))
    return tuple(sorted(lines, key=lambda line: (-line.count, line.repository, line.reference)))


def would_block(connection: Connection, since: datetime) -> tuple[WouldBlock, ...]:
    """Return images pulled with a warning since then."""
    names, where = (
        (journal.c.repository, journal.c.reference),
        (journal.c.kind == EventKind.PULL_WARNED, journal.c.last >= since),
    )
    groups = (
        select(
            *names,
            journal.c.reason,
            func.sum(journal.c.count).label("pulls"),
            func.max(journal.c.last, type_=journal.c.last.type).label("latest"),
            func.max(journal.c.position).label("position"),
        )
        .where(*where)
        .group_by(*names, journal.c.reason)
        .subquery()
    )
    newest = select(groups, journal.c.decision_id).join(journal, journal.c.position == groups.c.position)
    return summed(
        (
            Warned(r.repository, r.reference, r.reason, int(r.pulls), r.latest, r.position, r.decision_id)
            for r in connection.execute(newest)
        ),
        _callers(connection, names, where),
    )


def _name(warned: Warned) -> tuple[str, str]:
    return warned.repository, warned.reference


def _line(group: list[Warned], callers: Callers) -> WouldBlock:
    pulls: dict[str, int] = {}
    for warned in group:
        pulls[warned.reason] = pulls.get(warned.reason, 0) + warned.count
    reasons = tuple(sorted(pulls.items(), key=lambda pair: (-pair[1], pair[0])))
    newest = max(group, key=lambda warned: warned.position)
    last = max(warned.last for warned in group)
    total = sum(pulls.values())
    return WouldBlock(newest.repository, newest.reference, total, reasons, last, newest.decision_id, callers)
