"""The overrides in force, in memory; recomputed only after a change or when one of them begins or ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from proxy.trust.exception import PolicyException
from proxy.trust.overrides import AllOverrides, Overrides, OverrideWindow, overrides_at


class Ordered:
    """Holds the overrides of one process; `in_force` is almost free."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start without overrides."""
        self._now = now
        self._latest = now()
        self._orders = AllOverrides()
        self._offline: PolicyException | None = None
        self._window: OverrideWindow | None = None

    def orders(self) -> AllOverrides:
        """Return all recorded overrides, and the exception made on this host if it is not recorded yet."""
        if self._offline is None or any(e.id == self._offline.id for e in self._orders.exceptions):
            return self._orders
        mine = self._offline
        return replace(self._orders, exceptions=(*self._orders.exceptions, mine), unrecorded=mine.id)

    @property
    def recorded(self) -> AllOverrides:
        """The recorded overrides alone."""
        return self._orders

    def put(self, orders: AllOverrides) -> None:
        """Replace the recorded overrides."""
        self._orders, self._window = orders, None

    def put_offline(self, exception: PolicyException | None) -> None:
        """Set the exception made on this host; it is in force beside the recorded overrides."""
        if exception != self._offline:
            self._offline, self._window = exception, None

    def in_force(self) -> Overrides:
        """Return the overrides in force now."""
        now = self._now()
        self._latest = max(self._latest, now)
        if self._window is None or not self._window.spans(now):
            self._window = overrides_at(self.orders(), now, self._latest)
        return self._window.standing
