"""Admin tokens (hashes, never secrets) and approval requests in tables.

Rows of revoked tokens stay, so ids are never reused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, Text, func, insert, select, text, update

from proxy.admin.approval import Approval, ApprovalState, request_there
from proxy.admin.token import AdminToken, token_refusal
from proxy.journal.event import Event
from proxy.journal.rows import append_rows
from proxy.oci.slices import Slice
from proxy.store.database import Database
from proxy.store.tables import Chosen, Instant, Json, metadata, rows_in, value_of, values_of
from proxy.trust.actor import Actor
from proxy.trust.allotment import Allotment
from proxy.trust.roles import Role

Change = Callable[[Approval], Approval | None]
_ROLES = Json(lambda names: tuple(map(Role, names)))
admin_tokens = Table(
    "admin_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", _ROLES, nullable=False),
    Column("hashed", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked", Instant),
    Column("repositories", Json(tuple), nullable=False, server_default="[]"),
    Column("agreed_by", Text, nullable=False, server_default=""),
)
approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("route", "body", "request_id")),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("note", Text, nullable=False),
    Column("places", Json(write=dict), nullable=False),
    Column("plan", Json(tuple), nullable=False),
    *(Column(name, Text, nullable=False) for name in ("who", "how", "token_id")),
    Column("roles", _ROLES, nullable=False),
    Column("state", Chosen(ApprovalState), nullable=False),
    Column("given", Json(write=dict), nullable=False),
    Column("decided", Instant),
    Column(
        "decided_by",
        Json(lambda of: Actor(of[0], of[1], token_id=of[2]), lambda by: (by.name, by.authenticated_by, by.token_id)),
    ),
)


class StoredAdminTokens:
    """The AdminTokens port on a database. All calls raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def add(self, token: AdminToken, room: Allotment | None = None) -> None:
        await self._database.write(partial(_add_token, token=token, room=room))

    async def add_first(self, token: AdminToken) -> bool:
        return await self._database.write(partial(_add_first, token=token))

    async def find(self, token_id: str) -> AdminToken | None:
        return await self._database.read(partial(_find_token, token_id=token_id))

    async def all(self) -> tuple[AdminToken, ...]:
        return await self._database.read(_all)

    async def revoke(self, token_id: str, at: datetime) -> bool:
        return await self._database.write(partial(_revoke, token_id=token_id, at=at))


def _add_token(connection: Connection, token: AdminToken, room: Allotment | None) -> None:
    if connection.dialect.name == "postgresql":  # a second replica waits here, and then sees the first one's row
        connection.execute(text("LOCK TABLE admin_tokens IN SHARE ROW EXCLUSIVE MODE"))
    valid = admin_tokens.c.revoked.is_(None) & (admin_tokens.c.expires > token.created)
    there = [_token(row) for row in connection.execute(select(admin_tokens).where(valid))]
    if (why := token_refusal(token, there, room)) is not None:
        raise ValueError(why)
    _insert(connection, token)


def _insert(connection: Connection, token: AdminToken) -> None:
    connection.execute(insert(admin_tokens).values(created_by=token.by, **values_of(token, "by")))


def _add_first(connection: Connection, token: AdminToken) -> bool:
    if connection.execute(select(func.count()).select_from(admin_tokens)).scalar_one():
        return False
    _insert(connection, token)
    return True


def _find_token(connection: Connection, token_id: str) -> AdminToken | None:
    row = connection.execute(select(admin_tokens).where(admin_tokens.c.id == token_id)).one_or_none()
    return None if row is None else _token(row)


def _all(connection: Connection) -> tuple[AdminToken, ...]:
    query = select(admin_tokens).order_by(admin_tokens.c.created, admin_tokens.c.id)
    return tuple(_token(row) for row in connection.execute(query))


def _revoke(connection: Connection, token_id: str, at: datetime) -> bool:
    valid = (admin_tokens.c.id == token_id) & admin_tokens.c.revoked.is_(None)
    return connection.execute(update(admin_tokens).where(valid).values(revoked=at)).rowcount == 1


def _token(row: Row[Any]) -> AdminToken:
    return value_of(AdminToken, row, by=row.created_by)


class StoredApprovals:
    """The Approvals port on a database. All calls raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def add(self, approval: Approval, event: Event, room: Allotment | None = None) -> Approval:
        return await self._database.write(partial(_add, approval=approval, event=event, room=room))

    async def find(self, approval_id: str) -> Approval | None:
        return await self._database.read(partial(_find, approval_id=approval_id))

    async def change(self, approval_id: str, change: Change) -> Approval | None:
        return await self._database.write(partial(_change, approval_id=approval_id, change=change))

    async def page(self, state: ApprovalState | None, part: Slice) -> tuple[Approval, ...]:
        return await self._database.read(partial(_page, state=state, part=part))

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        return await self._database.read(partial(_overdue, now=now))


def _add(connection: Connection, approval: Approval, event: Event, room: Allotment | None) -> Approval:
    pending = select(approvals).where(approvals.c.state == ApprovalState.PENDING)
    there = request_there(approval, map(_approval, connection.execute(pending)), room)
    if there is None:
        append_rows(connection, (event,))
        connection.execute(insert(approvals).values(_values(approval)))
    return there or approval


def _find(connection: Connection, approval_id: str, *, lock: bool = False) -> Approval | None:
    query = select(approvals).where(approvals.c.id == approval_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _approval(row)


def _change(connection: Connection, approval_id: str, change: Change) -> Approval | None:
    there = _find(connection, approval_id, lock=True)
    wanted = None if there is None else change(there)
    if wanted is not None:
        connection.execute(update(approvals).where(approvals.c.id == approval_id).values(_values(wanted)))
    return wanted


def _page(connection: Connection, state: ApprovalState | None, part: Slice) -> tuple[Approval, ...]:
    query = select(approvals)
    if state is not None:
        query = query.where(approvals.c.state == state)
    return tuple(map(_approval, rows_in(connection, query, (approvals.c.created, approvals.c.id), part)))


def _overdue(connection: Connection, now: datetime) -> tuple[Approval, ...]:
    waits = approvals.c.state == ApprovalState.PENDING
    query = select(approvals).where(waits, approvals.c.expires <= now).order_by(approvals.c.created)
    return tuple(_approval(row) for row in connection.execute(query))


def _values(approval: Approval) -> dict[str, Any]:
    by = approval.by
    who = {"who": by.name, "how": by.authenticated_by, "token_id": by.token_id}
    return values_of(approval, "by") | who | {"roles": by.roles, "request_id": by.request_id}


def _approval(row: Row[Any]) -> Approval:
    by = Actor(row.who, row.how, "", row.request_id, row.roles, token_id=row.token_id)
    return value_of(Approval, row, by=by)
