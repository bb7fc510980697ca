"""Denials and exceptions in tables and in memory: decisions use memory, so they work while the database is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    true,
    update,
)

from proxy.overrides.changes import with_denial, with_exception
from proxy.store.clock import Clock
from proxy.store.database import Database
from proxy.store.own_connection import Reader
from proxy.store.tables import Instant, metadata, value_of, values_of
from proxy.store.versions import bump, versions
from proxy.trust.allotment import Allotment
from proxy.trust.denial import Denial
from proxy.trust.exception import SIGNATURES, PolicyException
from proxy.trust.overrides import AllOverrides, Overrides, OverrideWindow, overrides_at

INTERVENTIONS = "interventions"  # the name of their version
_Override = Denial | PolicyException
_REVIEWED = 200  # the newest ended and reviewed exceptions that are still shown
denials = Table(
    "denials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text),  # NULL: everything in those repositories
    *(Column(name, Text, nullable=False) for name in ("repositories", "reason", "by")),
    Column("at", Instant, nullable=False),
    Column("until", Instant),
)
exceptions = Table(
    "exceptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repositories", Text, nullable=False),
    Column("digest", Text),
    Column("unsigned_push", Boolean, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("reason", "by", "how")),
    Column("opened", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("closed", Instant),
    Column("closed_by", Text, nullable=False),
    Column("reviewed", Instant),
    *(Column(name, Text, nullable=False) for name in ("reviewed_by", "review")),
    Column("offline", Boolean, nullable=False),
)
# The digests that are denied at `:now`.
DENIED = select(denials.c.digest).where(
    denials.c.digest.is_not(None), denials.c.until.is_(None) | (denials.c.until > bindparam("now"))
)


class StoredOverrides:
    """The Interventions port on a database; `in_force` and `orders` answer from memory. Changes raise Unavailable."""

    def __init__(self, database: Database, clock: Clock, reader: Reader | None = None) -> None:
        """Use this database, and `reader` for reading again; call `refresh` before the first query."""
        self._database = database
        self._reader = reader or database
        self._clock = clock
        self._ordered = Ordered(clock.now)
        self._changed = 0  # counts this process's own changes
        self.unsure = False

    def in_force(self) -> Overrides:
        return self._ordered.in_force()

    def orders(self) -> AllOverrides:
        return self._ordered.orders()

    def recorded(self) -> AllOverrides:
        """Return the recorded overrides alone."""
        return self._ordered.recorded

    async def refresh(self) -> None:
        """Read all overrides again: another process may have changed them."""
        before = self._changed
        there = await self._reader.read(_all)
        if self._changed == before:
            self._ordered.put(there)
        # the result may lack our change, and memory may lack changes in the result
        self.unsure = self._changed != before

    async def deny(self, denial: Denial, room: Allotment | None = None) -> None:
        # Of other denials only those that the allotment needs are read: a recall costs the same however many they are.
        now = self._clock.now()
        about = denials.c.until <= now
        if denial.digest is None or room is not None:
            about |= denials.c.digest.is_(None)
        if denial.digest is not None:
            about |= denials.c.digest == denial.digest
        await self._change(partial(with_denial, denial=denial, now=now, room=room), about)

    async def lift(self, denial_id: str) -> Denial | None:
        found = next((d for d in self.orders().denials if d.id == denial_id), None)
        await self._change(lambda there: replace(there, denials=()), denials.c.id == denial_id)
        return found

    async def keep(self, exception: PolicyException, room: Allotment | None = None) -> bool:
        return await self._change(partial(with_exception, exception=exception, room=room))

    def put_offline(self, exception: PolicyException | None) -> None:
        """Put an exception made on this host in force, whether or not it is recorded yet."""
        self._ordered.put_offline(exception)

    async def _change(
        self, change: Callable[[AllOverrides], AllOverrides], about: ColumnElement[bool] | None = None
    ) -> bool:
        """Change these denials, or exceptions (`about` is None), in store and memory. False if nothing changed."""

        def then(done: tuple[AllOverrides, AllOverrides] | None) -> None:
            self._changed += 1
            if done is None or done[0] == done[1]:
                self.unsure = True  # an unchanged result carries no version: memory may be stale
            else:
                self._ordered.put(_put(self._ordered.recorded, *done))

        before, after = await self._database.write(partial(_change, change=change, about=about), then)
        return before != after


def _change(
    connection: Connection, change: Callable[[AllOverrides], AllOverrides], about: ColumnElement[bool] | None
) -> tuple[AllOverrides, AllOverrides]:
    """Return the affected overrides before and after the change."""
    connection.execute(select(versions).where(versions.c.name == INTERVENTIONS).with_for_update())  # serialises changes
    before = (
        AllOverrides(exceptions=_exceptions(connection)) if about is None else AllOverrides(_denials(connection, about))
    )
    after = change(before)
    _write(connection, denials, before.denials, after.denials)
    _write(connection, exceptions, before.exceptions, after.exceptions)
    if after != before:
        bump(connection, INTERVENTIONS)
    return before, after


def _put(orders: AllOverrides, before: AllOverrides, after: AllOverrides) -> AllOverrides:
    """Return the overrides with the affected ones replaced by their new state."""
    if before.exceptions or after.exceptions:
        return replace(orders, exceptions=after.exceptions)
    gone = {d.id for d in (*before.denials, *after.denials)}
    return replace(orders, denials=(*(d for d in orders.denials if d.id not in gone), *after.denials))


def _write(
    connection: Connection,
    table: Table,
    before: Sequence[Denial | PolicyException],
    after: Sequence[Denial | PolicyException],
) -> None:
    old, new = ({each.id: each for each in overrides} for overrides in (before, after))
    for gone in old.keys() - new.keys():
        connection.execute(delete(table).where(table.c.id == gone))
    for name, each in new.items():
        if name not in old:
            connection.execute(insert(table).values(_values(each)))
        elif old[name] != each:
            connection.execute(update(table).where(table.c.id == name).values(_values(each)))


def _values(each: Denial | PolicyException) -> dict[str, Any]:
    """Return the row. An exception is from the signatures: no column says so, and none can say more."""
    if isinstance(each, PolicyException) and each.suspends != (SIGNATURES,):
        raise ValueError(f"exception {each.id} is from {', '.join(each.suspends)}; only one from signatures is kept")
    return values_of(each, "suspends")


def _all(connection: Connection) -> AllOverrides:
    return AllOverrides(_denials(connection, true()), _exceptions(connection))


def _denials(connection: Connection, about: ColumnElement[bool]) -> tuple[Denial, ...]:
    """Return these denials, oldest first. They are built directly from columns: there may be a hundred thousand."""
    columns = [denials.c[each.name] for each in fields(Denial)]
    rows = connection.execute(select(*columns).where(about).order_by(denials.c.at, denials.c.id))
    return tuple(Denial(*row) for row in rows)


def _exceptions(connection: Connection) -> tuple[PolicyException, ...]:
    waiting = select(exceptions).where(exceptions.c.reviewed.is_(None)).order_by(exceptions.c.opened, exceptions.c.id)
    done = select(exceptions).where(exceptions.c.reviewed.is_not(None)).order_by(exceptions.c.reviewed.desc())
    rows = [*connection.execute(done.limit(_REVIEWED)), *connection.execute(waiting)]
    found = [value_of(PolicyException, row, suspends=(SIGNATURES,)) for row in rows]
    return tuple(sorted(found, key=lambda e: (e.opened, e.id)))


class Ordered:
    """Holds the overrides of one process; `in_force` is almost free."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start without overrides."""
        self._now = now
        self._latest = now()
        self._orders = AllOverrides()
        self._offline: PolicyException | None = None
        self._window: OverrideWindow | None = None

    def orders(self) -> AllOverrides:
        """Return all recorded overrides, and the exception made on this host if it is not recorded yet."""
        if self._offline is None or any(e.id == self._offline.id for e in self._orders.exceptions):
            return self._orders
        mine = self._offline
        return replace(self._orders, exceptions=(*self._orders.exceptions, mine), unrecorded=mine.id)

    @property
    def recorded(self) -> AllOverrides:
        """The recorded overrides alone."""
        return self._orders

    def put(self, orders: AllOverrides) -> None:
        """Replace the recorded overrides."""
        self._orders, self._window = orders, None

    def put_offline(self, exception: PolicyException | None) -> None:
        """Set the exception made on this host; it is in force beside the recorded overrides."""
        if exception != self._offline:
            self._offline, self._window = exception, None

    def in_force(self) -> Overrides:
        """Return the overrides in force now."""
        now = self._now()
        self._latest = max(self._latest, now)
        if self._window is None or not self._window.spans(now):
            self._window = overrides_at(self.orders(), now, self._latest)
        return self._window.in_force
