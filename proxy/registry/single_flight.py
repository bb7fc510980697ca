"""Work that many ask for at the same time, done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work under way, by key. Nothing is remembered after it is done."""

    def __init__(self) -> None:
        """Start with nothing under way."""
        self._flights: dict[Hashable, asyncio.Future[T]] = {}

    async def do(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, shared by everybody who asks for the same key while it runs.

        One caller going away does not end the work of the others; its failure reaches all of them.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(work())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    def _landed(self, key: Hashable, done: asyncio.Future[T]) -> None:
        self._flights.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen by whoever waited; nobody waiting is not an error
