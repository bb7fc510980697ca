"""Work that is done again and again while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from proxy.oci.faults import Corrupt, Fault, Unavailable

GRACE_S = 1.0  # for what is under way at the end; long work is cut then, and goes on after the next start
# What a mistake of ours comes as, or a file that may not be removed.
_MISTAKES = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError)


class Periodic:
    """Named work, each with a pause between two runs. What fails is logged once and tried again, whatever it fails of:
    denials and keys of other servers must not go unseen here because of a mistake or a file that cannot be removed.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        """Nothing runs yet."""
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    def every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run it now, and again that many seconds after each end, until `stop`."""
        self._tasks.append(asyncio.create_task(self._again(seconds, name, work)))

    async def stop(self) -> None:
        """Nothing runs any more. What is under way has a moment to finish: a question to the store is best answered."""
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
