"""Work that many callers request at the same time, done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work in progress, by key. Results are not cached."""

    def __init__(self) -> None:
        """Start with no work in progress."""
        self._flights: dict[Hashable, asyncio.Future[T]] = {}

    async def do(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, shared by all callers that request the same key while it runs.

        A caller that leaves does not end the work for the others; a failure reaches all of them.
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
            done.exception()  # seen by every waiting caller; no waiting caller is not an error
