"""Random keys shared by all servers of one store, each created by the first server that needs it."""

from __future__ import annotations

from secrets import token_bytes

from sqlalchemy import Connection, select

from proxy.store.database import Database, insert_once
from proxy.store.tables import secrets

BYTES = 32


class StoredSecrets:
    """Keys for values that clients receive and return. They sign no images; any reader of the database has them."""

    def __init__(self, database: Database) -> None:
        """Use this database; no key is cached in memory."""
        self._database = database

    async def named(self, name: str) -> bytes:
        """Return the key of this name, 32 bytes, the same for every server and after every restart."""
        return await self._database.write(lambda connection: _named(connection, name))


def _named(connection: Connection, name: str) -> bytes:
    kept = select(secrets.c.value).where(secrets.c.name == name)
    found = connection.execute(kept).scalar_one_or_none()
    if found is None:
        once = insert_once(connection.dialect.name, secrets)  # another server may be first
        connection.execute(once, [{"name": name, "value": token_bytes(BYTES)}])
        found = connection.execute(kept).scalar_one()
    return bytes(found)
