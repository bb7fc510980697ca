"""A connection of its own, for what must not wait behind anything else in this process."""

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
DEADLINE_S = 2.0  # for one question, connecting included


class Reader(Protocol):
    """Where rows are read. `sole` is true where no other process can write them."""

    sole: bool

    async def read(self, work: Work[T]) -> T:
        """Return what `work` returns. Raises Unavailable."""


class OwnConnection:
    """One connection to a database that others write too. Where it is silent it is cut: nobody waits for it."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use this engine, whose pool has one connection."""
        self._engine = engine
        self.sole = False

    async def read(self, work: Work[T]) -> T:
        """Return what `work` returns, within two seconds. Raises Unavailable."""
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
        """Give the connection back."""
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
    """Cut the connection: cancelling would first ask the server, which is silent, to cancel, for ten seconds."""
    attempt.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody waits for it any more
    if not held:
        attempt.cancel()
        return
    with suppress(OSError), socket.socket(fileno=os.dup(held[0])) as there:
        there.shutdown(socket.SHUT_RDWR)
