"""What stands of the orders in memory, found anew only when something changed or a moment came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from proxy.trust.exception import PolicyException
from proxy.trust.overrides import AllOverrides, Overrides, OverrideWindow, overrides_at


class Ordered:
    """Holds the orders of one process; `in_force` costs next to nothing."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start with none."""
        self._now = now
        self._latest = now()
        self._orders = AllOverrides()
        self._offline: PolicyException | None = None
        self._window: OverrideWindow | None = None

    def orders(self) -> AllOverrides:
        """Return all that is on record, and the exception that was made on this host and is not on record yet."""
        if self._offline is None or any(e.id == self._offline.id for e in self._orders.exceptions):
            return self._orders
        mine = self._offline
        return replace(self._orders, exceptions=(*self._orders.exceptions, mine), unrecorded=mine.id)

    @property
    def recorded(self) -> AllOverrides:
        """What is on record alone."""
        return self._orders

    def put(self, orders: AllOverrides) -> None:
        """Have these stand from now on."""
        self._orders, self._window = orders, None

    def put_offline(self, exception: PolicyException | None) -> None:
        """Have this exception, made on this host, stand beside what is on record."""
        if exception != self._offline:
            self._offline, self._window = exception, None

    def in_force(self) -> Overrides:
        """Return what is in force now."""
        now = self._now()
        self._latest = max(self._latest, now)
        if self._window is None or not self._window.spans(now):
            self._window = overrides_at(self.orders(), now, self._latest)
        return self._window.standing
