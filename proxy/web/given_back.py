"""Returns the memory of many ended connections to the system: Python and glibc would keep it (ADR 0053)."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc

CROWD = 1000  # ended connections after which memory is returned
SWEEP_S = 5.0  # delay, so that the last requests of the crowd have ended


class Sweep:
    """Counts ended connections, and returns their memory to the system after every `CROWD` of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with none."""
        self._loop = loop
        self._ended = 0

    def ended(self) -> None:
        """Count one ended connection."""
        self._ended += 1
        if self._ended == CROWD:
            self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._ended = 0
        if give_back_memory() > CROWD:  # the last requests of the crowd may not have ended yet
            self._loop.call_later(SWEEP_S, self._sweep)


def give_back_memory() -> int:
    """Collect reference cycles, return free pages to the system, and return the number of objects collected.

    Takes some tens of milliseconds, during which the event loop is blocked.
    """
    found = gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # a C library that is not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return found
