"""Admin tokens, stored in a table: hashes, never secrets. Rows of revoked tokens stay, so ids are never reused."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, update

from proxy.admin.token import AdminToken, token_refusal
from proxy.store.database import Database
from proxy.store.tables import admin_tokens
from proxy.trust.allotment import Allotment
from proxy.trust.roles import Role


class StoredAdminTokens:
    """The AdminTokens port on a database. All calls raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def add(self, token: AdminToken, room: Allotment | None = None) -> None:
        """Store a new token; durable on return.

        Raises ValueError when a valid token has its name, or its maker's allotment `room` is full (None: no limit).
        """
        await self._database.write(partial(_add, token=token, room=room))

    async def add_first(self, token: AdminToken) -> bool:
        """Store the token if there has never been one; else change nothing and return False."""
        return await self._database.write(partial(_add_first, token=token))

    async def find(self, token_id: str) -> AdminToken | None:
        """Return the token with this id, valid or not, or None."""
        return await self._database.read(partial(_find, token_id=token_id))

    async def all(self) -> tuple[AdminToken, ...]:
        """Return every token ever stored, oldest first."""
        return await self._database.read(_all)

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """Revoke a token permanently; return False if none has this id or it was revoked before."""
        return await self._database.write(partial(_revoke, token_id=token_id, at=at))


def _add(connection: Connection, token: AdminToken, room: Allotment | None) -> None:
    if connection.dialect.name == "postgresql":  # a second replica waits here, and then sees the first one's row
        connection.execute(text("LOCK TABLE admin_tokens IN SHARE ROW EXCLUSIVE MODE"))
    valid = admin_tokens.c.revoked.is_(None) & (admin_tokens.c.expires > token.created)
    there = [_token(row) for row in connection.execute(select(admin_tokens).where(valid))]
    if (why := token_refusal(token, there, room)) is not None:
        raise ValueError(why)
    _insert(connection, token)


def _insert(connection: Connection, token: AdminToken) -> None:
    connection.execute(insert(admin_tokens).values(_values(token)))


def _add_first(connection: Connection, token: AdminToken) -> bool:
    if connection.execute(select(func.count()).select_from(admin_tokens)).scalar_one():
        return False
    _insert(connection, token)
    return True


def _find(connection: Connection, token_id: str) -> AdminToken | None:
    row = connection.execute(select(admin_tokens).where(admin_tokens.c.id == token_id)).one_or_none()
    return None if row is None else _token(row)


def _all(connection: Connection) -> tuple[AdminToken, ...]:
    query = select(admin_tokens).order_by(admin_tokens.c.created, admin_tokens.c.id)
    return tuple(_token(row) for row in connection.execute(query))


def _revoke(connection: Connection, token_id: str, at: datetime) -> bool:
    valid = (admin_tokens.c.id == token_id) & admin_tokens.c.revoked.is_(None)
    return connection.execute(update(admin_tokens).where(valid).values(revoked=at)).rowcount == 1


def _values(token: AdminToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "roles": json.dumps([role.value for role in token.roles]),
        "hashed": token.hashed,
        "created": token.created,
        "expires": token.expires,
        "created_by": token.by,
        "revoked": token.revoked,
        "repositories": json.dumps(token.repositories),
        "agreed_by": token.agreed_by,
    }


def _token(row: Row[Any]) -> AdminToken:
    return AdminToken(
        row.id,
        row.name,
        tuple(Role(name) for name in json.loads(row.roles)),
        row.hashed,
        row.created,
        row.expires,
        row.created_by,
        row.revoked,
        tuple(json.loads(row.repositories)),
        row.agreed_by,
    )
