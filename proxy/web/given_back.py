"""Memory that a crowd of connections took goes back to the system: Python and glibc keep it otherwise (ADR 0053)."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc

CROWD = 1000  # connections that ended, after which memory is given back
SWEEP_S = 5.0  # later: by then the last request of the crowd has ended too


class Sweep:
    """Counts connections that ended, and gives back what they took once a crowd of them has gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with none."""
        self._loop = loop
        self._ended = 0

    def ended(self) -> None:
        """Count one."""
        self._ended += 1
        if self._ended == CROWD:
            self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._ended = 0
        if give_back_memory() > CROWD:  # the last requests of the crowd have perhaps not ended yet
            self._loop.call_later(SWEEP_S, self._sweep)


def give_back_memory() -> int:
    """Collect what refers to itself, return free pages, and return how many objects there were to collect.

    Takes some tens of milliseconds, in which nothing else runs.
    """
    found = gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # a C library that is not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return found
