"""Time: the port, and the machine's own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can freeze it."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
