"""The data of `report would-block`: pulls that a warning let through and that enforcing would deny."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, func, select

from proxy.journal.event import EventKind
from proxy.store.tables import journal


@dataclass(frozen=True)
class WouldBlock:
    """One image under one reference: how often it was pulled with a warning, why, and when last.

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
        .where(journal.c.kind == EventKind.PULL_WARNED.value, journal.c.last >= since)
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
