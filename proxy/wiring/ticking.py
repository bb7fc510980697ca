"""Work that is done again and again while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from proxy.oci.faults import Corrupt, Fault, Unavailable

# What a mistake of ours comes as, or a file that may not be removed.
_MISTAKES = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError)


class Ticking:
    """Named work, each with a pause between two runs. What fails is logged once and tried again, whatever it fails of:
    denials and keys of other servers must not go unseen here because of a mistake or a file that cannot be removed.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        """Nothing runs yet."""
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run it now, and again that many seconds after each end, until `stop`."""
        self._tasks.append(asyncio.create_task(self._again(seconds, name, work)))

    async def stop(self) -> None:
        """Nothing runs any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _again(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        failing: str | None = None
        while True:
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
            await asyncio.sleep(seconds)
