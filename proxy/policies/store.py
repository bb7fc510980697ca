"""Policy revisions in a table: appended, never changed, each checked against its hash when it is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, Text, select

from proxy.journal.event import Event
from proxy.journal.rows import append_rows, keep_text
from proxy.oci.faults import Corrupt
from proxy.oci.slices import Slice
from proxy.policies.revision import PolicyRevision
from proxy.store.database import Database, insert_once
from proxy.store.tables import BIG, Instant, metadata, rows_in, value_of, values_of
from proxy.store.versions import bump

POLICY = "policy"  # the kind of its texts, as named by decisions
policy_revisions = Table(
    "policy_revisions",
    metadata,
    Column("number", BIG, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("parent", Text, nullable=False),  # the hash of the previous one
    Column("body", Text, nullable=False),
    Column("policies", Text, nullable=False),  # the revision that decisions name
    Column("at", Instant, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("who", "how", "reason")),
)


class StoredPolicyBook:
    """The PolicyBook port on a database. All methods raise Unavailable; reads raise Corrupt for an altered row."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def newest(self) -> PolicyRevision | None:
        return await self._database.read(_newest)

    async def find(self, number: int) -> PolicyRevision | None:
        return await self._database.read(partial(_find, number=number))

    async def history(self, part: Slice) -> tuple[PolicyRevision, ...]:
        return await self._database.read(partial(_history, part=part))

    async def tip(self) -> tuple[int, str]:
        return await self._database.read(_tip)

    async def append(
        self, revision: PolicyRevision, canonical: str, event: Event, then: Callable[[bool | None], None] | None = None
    ) -> bool:
        work = partial(_append, revision=revision, canonical=canonical, event=event)
        return await self._database.write(work, then)


def _newest(connection: Connection) -> PolicyRevision | None:
    row = connection.execute(select(policy_revisions).order_by(policy_revisions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _checked(row)


def _find(connection: Connection, number: int) -> PolicyRevision | None:
    row = connection.execute(select(policy_revisions).where(policy_revisions.c.number == number)).one_or_none()
    return None if row is None else _checked(row)


def _history(connection: Connection, part: Slice) -> tuple[PolicyRevision, ...]:
    rows = rows_in(connection, select(policy_revisions), (policy_revisions.c.number,), part)
    return tuple(value_of(PolicyRevision, row, text=row.body) for row in rows)


def _tip(connection: Connection) -> tuple[int, str]:
    columns = select(policy_revisions.c.number, policy_revisions.c.hash)
    row = connection.execute(columns.order_by(policy_revisions.c.number.desc()).limit(1)).one_or_none()
    return (0, "") if row is None else (int(row.number), str(row.hash))


def _append(connection: Connection, revision: PolicyRevision, canonical: str, event: Event) -> bool:
    if _tip(connection) != (revision.number - 1, revision.parent):
        return False
    once = insert_once(connection.dialect.name, policy_revisions).values(
        **values_of(revision, "text"), body=revision.text, hash=revision.hash
    )
    if connection.execute(once.returning(policy_revisions.c.number)).one_or_none() is None:
        return False  # another process added a revision between the check and the insert
    keep_text(connection, POLICY, revision.policies, canonical)
    append_rows(connection, (event,))
    bump(connection, POLICY)
    return True


def _checked(row: Row[Any]) -> PolicyRevision:
    found = value_of(PolicyRevision, row, text=row.body)
    if found.hash != row.hash:
        raise Corrupt(f"{found.name} was altered in the store: it is not what its hash was made of")
    return found
