"""How long something on a connection may take, with one timer for all the times that it is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.registry.request import do_nothing


class Deadline:
    """Calls `late` once when a wait took too long. Most end long before: so a timer goes on from one to the next."""

    __slots__ = ("_due", "_late", "_loop", "_seconds", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, late: Callable[[], None]) -> None:
        """Wait for nothing yet."""
        self._loop = loop
        self._seconds = seconds
        self._late = late
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """True while something is waited for."""
        return self._due is not None

    def start(self) -> None:
        """Wait from now on, anew where something was waited for already."""
        self._due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def met(self) -> None:
        """What was waited for has come."""
        self._due = None

    def close(self) -> None:
        """Call nobody any more, and keep nobody in memory."""
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
