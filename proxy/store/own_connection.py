"""A separate connection for reads that must not wait behind any other work of this process."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.oci.faults import Told, Unavailable
from proxy.store.database import Work, translated

T = TypeVar("T")
DEADLINE_S = 2.0  # for one query, connecting included


class Reader(Protocol):
    """A source of rows. `sole` is true when no other process can write them."""

    sole: bool

    async def read(self, work: Work[T]) -> T:
        """Return the result of `work`. Raises Unavailable."""


class OwnConnection:
    """One connection to a database with other writers. A silent connection is cut, so that no caller waits for it."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use this engine, whose pool has one connection."""
        self._engine = engine
        self.sole = False

    async def read(self, work: Work[T]) -> T:
        """Return the result of `work`, within two seconds. Raises Unavailable."""
        held: list[int] = []
        attempt = asyncio.create_task(self._attempt(work, held))
        try:
            await asyncio.wait([attempt], timeout=DEADLINE_S)
        finally:
            if not attempt.done():
                _give_up(attempt, held)
        if not attempt.done():
            raise Unavailable(f"store: no answer within {DEADLINE_S:g} s", told=Told.RECORD)
        return attempt.result()

    async def close(self) -> None:
        """Close the connection."""
        with translated():
            await self._engine.dispose()

    async def _attempt(self, work: Work[T], held: list[int]) -> T:
        with translated():
            async with self._engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                if driver is not None:
                    held.append(driver.fileno())
                return await connection.run_sync(work)


def _give_up(attempt: asyncio.Task[T], held: list[int]) -> None:
    """Cut the connection: cancelling would first ask the silent server to cancel, for ten seconds."""
    attempt.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # no caller waits for it any more
    if not held:
        attempt.cancel()
        return
    with suppress(OSError), socket.socket(fileno=os.dup(held[0])) as there:
        there.shutdown(socket.SHUT_RDWR)
