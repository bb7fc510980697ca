"""Unsigned pushes that still need a signature, stored in a table."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, Text, UniqueConstraint, func, or_, select, update

from proxy.oci.slices import Slice
from proxy.store.database import Database, upsert
from proxy.store.tables import BIG, Instant, metadata, rows_in, value_of, values_of
from proxy.store.versions import bump
from proxy.trust.exception import UnsignedPush

OWED = "owed"  # the name of its version
_NO_TAG = ""
unsigned_pushes = Table(
    "unsigned_pushes",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    *(Column(name, Text, nullable=False) for name in ("repository", "digest", "tag", "exception", "who")),
    Column("at", Instant, nullable=False),
    Column("settled", Instant),
    Column("tried", Instant),
    Column("note", Text, nullable=False),
    UniqueConstraint("repository", "digest", "tag", name="unsigned_pushes_once"),
)


class StoredUnsignedPushes:
    """The Owed port on a database. All methods but `waiting` raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database; call `refresh` before the first query."""
        self._database = database
        self._waiting = 0
        self.unsure = False

    def waiting(self) -> int:
        return self._waiting

    async def refresh(self) -> None:
        """Count again: another process may have changed the table."""
        self._waiting, self.unsure = await self._database.read(_count), False

    async def record_unsigned(self, *pushes: UnsignedPush) -> None:
        await self._database.write(partial(_owe, pushes=pushes), self._counted)

    async def due(self, before: datetime, limit: int) -> tuple[UnsignedPush, ...]:
        return await self._database.read(partial(_due, before=before, limit=limit))

    async def note(self, push: UnsignedPush) -> None:
        await self._database.write(partial(_note, push=push), self._counted, bulk=True)

    async def page(self, part: Slice) -> tuple[UnsignedPush, ...]:
        return await self._database.read(partial(_page, part=part))

    def _counted(self, waiting: int | None) -> None:
        if waiting is None:
            self.unsure = True
        else:
            self._waiting = waiting


def _owe(connection: Connection, pushes: tuple[UnsignedPush, ...]) -> int:
    statement = upsert(connection.dialect.name, unsigned_pushes)
    again = {name: statement.excluded[name] for name in ("exception", "who", "at", "settled", "tried", "note")}
    here = [unsigned_pushes.c.repository, unsigned_pushes.c.digest, unsigned_pushes.c.tag]
    rows = [values_of(push) | {"tag": push.tag or _NO_TAG} for push in pushes]
    connection.execute(statement.on_conflict_do_update(index_elements=here, set_=again), rows)
    bump(connection, OWED)
    return _count(connection)


def _note(connection: Connection, push: UnsignedPush) -> int:
    """Update only the push that was read: if it was repeated in the meantime, the new one stays open."""
    table = unsigned_pushes
    this = (
        (table.c.repository == push.repository)
        & (table.c.digest == push.digest)
        & (table.c.tag == (push.tag or _NO_TAG))
        & (table.c.at == push.at)
    )
    connection.execute(update(table).where(this).values(settled=push.settled, tried=push.tried, note=push.note))
    bump(connection, OWED)
    return _count(connection)


def _count(connection: Connection) -> int:
    open_ones = select(func.count()).select_from(unsigned_pushes).where(unsigned_pushes.c.settled.is_(None))
    return int(connection.execute(open_ones).scalar_one())


def _due(connection: Connection, before: datetime, limit: int) -> tuple[UnsignedPush, ...]:
    table = unsigned_pushes
    query = (
        select(table)
        .where(table.c.settled.is_(None), or_(table.c.tried.is_(None), table.c.tried < before))
        .order_by(table.c.id)
        .limit(limit)
    )
    return tuple(_push(row) for row in connection.execute(query))


def _page(connection: Connection, part: Slice) -> tuple[UnsignedPush, ...]:
    key = [unsigned_pushes.c[name] for name in ("at", "repository", "digest", "tag")]
    return tuple(map(_push, rows_in(connection, select(unsigned_pushes), key, part)))


def _push(row: Row[Any]) -> UnsignedPush:
    return value_of(UnsignedPush, row, tag=row.tag or None)
