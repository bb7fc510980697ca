"""How often each book was changed, so that other processes know when theirs is old."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Connection, select

from proxy.store.database import Database, upsert
from proxy.store.tables import versions


class Book(Protocol):
    """Something stored that this process also holds in memory."""

    unsure: bool  # whether a change of ours may or may not be in the store

    async def refresh(self) -> None:
        """Read it again; afterwards nothing is unsure. Raises Unavailable."""


def bump(connection: Connection, name: str) -> None:
    """Say that the book of this name has changed; to be called in the transaction that changes it."""
    new = upsert(connection.dialect.name, versions).values(name=name, number=1)
    connection.execute(
        new.on_conflict_do_update(index_elements=[versions.c.name], set_={"number": versions.c.number + 1})
    )


class Watch:
    """Keeps the books of this process as new as the store, when it is told to look."""

    def __init__(self, database: Database, books: Mapping[str, Book]) -> None:
        """Watch these, by the names they are bumped under; what was read before now is taken to be new."""
        self._database = database
        self._books = dict(books)
        self._seen: Mapping[str, int] = {}

    def also(self, name: str, book: Book) -> None:
        """Watch this one too; it is read again at the next look."""
        self._books[name] = book
        self._seen = {seen: number for seen, number in self._seen.items() if seen != name}

    async def look(self) -> None:
        """Read again what others have changed since the last look, and what is unsure. Raises Unavailable."""
        found: Mapping[str, int] = {} if self._database.sole else await self._database.read(_numbers)
        for name, book in self._books.items():
            if book.unsure or found.get(name) != self._seen.get(name):
                await book.refresh()
        self._seen = found


def _numbers(connection: Connection) -> dict[str, int]:
    return {row.name: row.number for row in connection.execute(select(versions))}
