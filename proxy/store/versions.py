"""Change counters of the books: other processes detect that their copy is old, and how old it may be.

Denials and keys are checked separately, on their own connection: books that users can make slow (policies are parsed
and compared) are followed elsewhere, from the numbers that this check found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

from sqlalchemy import Column, Connection, Table, Text, select

from proxy.oci.faults import Unavailable
from proxy.store.database import upsert
from proxy.store.own_connection import Reader
from proxy.store.tables import BIG, metadata

# How often each book was changed: other processes compare it to detect that theirs is old.
versions = Table("versions", metadata, Column("name", Text, primary_key=True), Column("number", BIG, nullable=False))


class Book(Protocol):
    """Stored data that this process also holds in memory."""

    unsure: bool  # True when our own change may or may not be in the store

    async def refresh(self) -> None:
        """Read it again; afterwards nothing is unsure. Raises Unavailable."""


def bump(connection: Connection, name: str) -> None:
    """Record that the book of this name has changed; call this in the transaction that changes it."""
    new = upsert(connection.dialect.name, versions).values(name=name, number=1)
    connection.execute(
        new.on_conflict_do_update(index_elements=[versions.c.name], set_={"number": versions.c.number + 1})
    )


class Watch:
    """Keeps the books that decide (denials, keys) as new as the store, and knows how old they may be."""

    def __init__(self, reader: Reader, books: Mapping[str, Book], monotonic: Callable[[], float]) -> None:
        """Watch these books, by the names they are bumped under; they were read just now."""
        self._reader = reader
        self._books = dict(books)
        self._monotonic = monotonic
        self._found: Mapping[str, int] = {}
        self._seen: dict[str, int | None] = {}
        self._read_at = monotonic()
        self.trouble: str | None = None  # why the last check failed

    def age(self) -> float:
        """Return the seconds since all books were known to match the store; 0 if only this process writes."""
        return 0.0 if self._reader.sole else self._monotonic() - self._read_at

    async def look(self) -> None:
        """Read the books again that others have changed since the last check, and unsure ones. Raises Unavailable.

        A book that cannot be read does not stop the others from being read, but none of them then counts as read.
        """
        began = self._monotonic()
        self.trouble = self.trouble or "no answer yet"
        try:
            self._found = {} if self._reader.sole else await self._reader.read(_numbers)
            read = await asyncio.gather(*(self._follow(*each) for each in self._books.items()), return_exceptions=True)
        except Unavailable as away:
            self.trouble = away.what
            raise
        for outcome in read:
            if outcome is not None:
                self.trouble = outcome.what if isinstance(outcome, Unavailable) else repr(outcome)
                raise outcome
        self._read_at, self.trouble = began, None

    def follower(self, name: str, book: Book) -> Callable[[], Awaitable[None]]:
        """Return a separate check for another book; `look` never waits for it. Raises Unavailable when called."""
        return partial(self._follow, name, book)

    async def _follow(self, name: str, book: Book) -> None:
        found = self._found.get(name)
        if book.unsure or found != self._seen.get(name):
            await book.refresh()
            self._seen[name] = found


def _numbers(connection: Connection) -> dict[str, int]:
    return {row.name: row.number for row in connection.execute(select(versions))}
