"""Access to rows: concurrent reads, and writes in one commit at a time, shared by all waiting writers.

Writes have two lanes: what a client waits for, and bulk, which yields to it. Adapters pass plain functions of a
connection. Only this module turns database errors into Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.oci.faults import Told, Unavailable

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Work = Callable[[Connection], T]
_TOGETHER = 256  # works in one commit, at most
_BULK_TOGETHER = 16  # bulk works in one commit, at most: a client that comes meanwhile waits for them
# After so many commits, or seconds, some bulk works go first: they are not put off for ever, nor by a store that hangs.
_PATIENCE, _PATIENCE_S = 32, 1.0
_DEADLINE_S = 10.0
_READ_ONLY = "store: opened to read only; changes go through the running server"
_DEADLOCK = "40P01"  # PostgreSQL's code: two transactions of several works each waited for each other
# Errors caused by one work; any other database error concerns every work in the same commit.
_OWN_FAULT = (DataError, IntegrityError, ProgrammingError)


@dataclass
class _Waiting:
    work: Work[Any]
    then: Callable[[Any], None] | None
    done: asyncio.Future[Any]

    def succeed(self, result: Any) -> None:
        if self.then:
            self.then(result)
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: BaseException) -> None:
        if self.then:
            self.then(None)
        if not self.done.done():
            self.done.set_exception(
                Unavailable(error.what, told=error.told) if isinstance(error, Unavailable) else error
            )


class _Along(Generic[T]):
    def __init__(self, done: asyncio.Future[T], wake: Callable[[], None]) -> None:
        self._done = done
        self._wake = wake

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done.done():
            self._wake()
        return asyncio.shield(self._done).__await__()


class Database:
    """Connections to one database. `sole` is true when no other process can write."""

    def __init__(self, readers: AsyncEngine, writer: AsyncEngine | None, *, sole: bool) -> None:
        """Use these engines; without a writer every write is refused."""
        self._readers = readers
        self._writer = writer
        self.sole = sole
        self._queue: list[_Waiting] = []
        self._bulk: list[_Waiting] = []
        self._draining: asyncio.Task[None] | None = None

    async def read(self, work: Work[T]) -> T:
        """Return the result of `work` on a connection without a transaction. Raises Unavailable."""
        with translated():
            async with asyncio.timeout(_DEADLINE_S), self._readers.connect() as connection:
                return await connection.run_sync(work)

    async def write(self, work: Work[T], then: Callable[[T | None], None] | None = None, *, bulk: bool = False) -> T:
        """Return the result of `work` once its commit is durable. Raises Unavailable, and what `work` raises.

        A `bulk` work is one that no client waits for. It yields to those that clients wait for, so it must be short:
        some hundred rows.

        Works that wait at the same time share one commit; `work` may run twice when another one of them fails, so it
        must not touch anything but its connection. A caller who goes away does not undo the write; its consequences in
        this process belong in `then`, called with the result, or with None if the outcome is unknown.
        """
        if self._writer is None:
            if then:
                then(None)
            raise Unavailable(_READ_ONLY)
        waiting = _Waiting(work, then, asyncio.get_running_loop().create_future())
        (self._bulk if bulk else self._queue).append(waiting)
        self._wake()
        result: T = await waiting.done
        return result

    def hurry(self) -> None:
        """Put the bulk works that wait now in front of all others: a client has come to wait for one of them."""
        self._queue[:0] = self._bulk
        self._bulk.clear()

    def along(self, work: Work[T]) -> Awaitable[T]:
        """Queue a write for the next commit; awaiting the result makes a commit if none came.

        It may be awaited any number of times, or never. The await raises what `write` raises.
        """
        waiting = _Waiting(work, None, asyncio.get_running_loop().create_future())
        waiting.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps it is never awaited
        if self._writer is None:
            waiting.fail(Unavailable(_READ_ONLY))
        else:
            self._queue.append(waiting)
        return _Along(waiting.done, self._wake)

    async def at_once(self, work: Work[T]) -> T:
        """Return the result of `work` once its commit is durable, in a transaction of its own.

        For works that lock several rows: no other work in the same transaction then holds the locks they wait for.
        Raises Unavailable, and what `work` raises: then nothing was written.
        """
        if self._writer is None:
            raise Unavailable(_READ_ONLY)
        with translated():
            async with asyncio.timeout(_DEADLINE_S), self._writer.begin() as connection:
                return await connection.run_sync(work)

    def _wake(self) -> None:
        if self._draining is None and self._writer is not None and (self._queue or self._bulk):
            self._draining = asyncio.create_task(self._drain(self._writer))

    async def close(self) -> None:
        """Finish the queued work and close all connections. Readers first: the writer checkpoints alone."""
        self._wake()
        if self._draining is not None:
            await self._draining
        with translated():
            await self._readers.dispose()
            if self._writer is not None and self._writer is not self._readers:
                await self._writer.dispose()

    async def _drain(self, writer: AsyncEngine) -> None:
        passed_over, since = 0, monotonic()  # since no bulk work waits, or the last of them went
        while self._queue or self._bulk:
            if not self._bulk:
                passed_over, since = 0, monotonic()
            if self._queue and passed_over < _PATIENCE and monotonic() < since + _PATIENCE_S:
                together, self._queue = self._queue[:_TOGETHER], self._queue[_TOGETHER:]
                passed_over += 1
            else:
                together, self._bulk = self._bulk[:_BULK_TOGETHER], self._bulk[_BULK_TOGETHER:]
                passed_over, since = 0, monotonic()
            await self._commit(writer, together)
        self._draining = None

    async def _commit(self, writer: AsyncEngine, together: list[_Waiting]) -> None:
        # After a timeout, SQLite's thread would still write beside the next connection's; busy_timeout bounds it.
        deadline = None if self.sole else _DEADLINE_S
        attempt = asyncio.create_task(_transact(writer, [w.work for w in together], deadline))
        await asyncio.wait([attempt])
        error = asyncio.CancelledError() if attempt.cancelled() else attempt.exception()
        if error is None:
            for waiting, result in zip(together, attempt.result(), strict=True):
                waiting.succeed(result)
        elif len(together) > 1 and not isinstance(error, Unavailable):
            for waiting in together:
                await self._commit(writer, [waiting])
        else:
            for waiting in together:
                waiting.fail(error)


async def _transact(writer: AsyncEngine, works: list[Work[Any]], deadline: float | None) -> list[Any]:
    with translated(let=_OWN_FAULT if len(works) > 1 else ()):
        async with asyncio.timeout(deadline), writer.begin() as connection:
            return await connection.run_sync(lambda c: [work(c) for work in works])


@contextmanager
def translated(*, let: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn errors of databases and files into Unavailable, except the kinds in `let`."""
    try:
        yield
    except let:
        raise
    except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
        if let and isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _DEADLOCK:
            raise  # works that share a transaction lock in no order; alone, each of them succeeds
        raise _said(error) from error


def _said(error: Exception) -> Unavailable:
    """Return the database's message without the statement and its values: those must not reach log files."""
    said = error.orig if isinstance(error, DBAPIError) else error
    lines = str(said).strip().splitlines()
    return Unavailable(f"store: {lines[0] if lines else type(said).__name__}", told=Told.RECORD)


def upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT of `sqlite` or `postgresql` that supports ON CONFLICT; both use the same syntax."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # takes 50 ms: not needed when the store is a file

    return postgresql.insert(table)


@cache
def insert_once(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT that leaves an existing row unchanged."""
    return upsert(dialect, table).on_conflict_do_nothing()
