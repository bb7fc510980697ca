"""A time limit for repeated waits on a connection, with one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.registry.request import do_nothing


class Deadline:
    """Calls `late` once when a wait takes too long. Most waits end early, so one timer is reused for the next."""

    __slots__ = ("_due", "_late", "_loop", "_seconds", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, late: Callable[[], None]) -> None:
        """Start without a wait."""
        self._loop = loop
        self._seconds = seconds
        self._late = late
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """True while a wait is in progress."""
        return self._due is not None

    def start(self) -> None:
        """Start waiting now; restart the time if a wait is in progress."""
        self._due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def met(self) -> None:
        """End the wait: the awaited event has happened."""
        self._due = None

    def close(self) -> None:
        """Cancel the timer and drop the callback, so that it keeps no object in memory."""
        self._due, self._late = None, do_nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            self._due = None
            self._late()
