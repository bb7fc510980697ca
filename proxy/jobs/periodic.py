"""Work that runs periodically while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from proxy.oci.faults import Corrupt, Fault, Unavailable

GRACE_S = 1.0  # for running work at shutdown; long work is then cancelled, and continues after the next start
# Exceptions of programming errors, or of a file that cannot be removed.
_MISTAKES = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError)


class Periodic:
    """Named tasks, each with a pause between two runs. Every failure is logged once and the task runs again.

    A programming error or a file that cannot be removed must not hide denials and keys of other servers from this one.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        """Start with no tasks."""
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    def every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run this work now, and again that many seconds after each end, until `stop`."""
        self._tasks.append(asyncio.create_task(self._again(seconds, name, work)))

    async def stop(self) -> None:
        """Stop all work. Running work first gets `GRACE_S` to finish: a store query is best completed."""
        self._over.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _again(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        failing: str | None = None
        while not self._over.is_set():
            try:
                await work()
            except (Unavailable, Corrupt, Fault, *_MISTAKES) as error:
                why = repr(error) if isinstance(error, _MISTAKES) else str(error)
                if why != failing:
                    self._log.error("failed and is tried again", work=name, why=why)
                failing = why
            else:
                if failing is not None:
                    self._log.info("works again", work=name)
                failing = None
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._over.wait()
