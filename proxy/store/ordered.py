"""What stands of the orders in memory, found anew only when something changed or a moment came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.standing import Orders, Standing, Window, standing_at

DENIALS = 1_000  # each is looked at whenever something is decided anew
UNREVIEWED = 200  # exceptions


class Ordered:
    """Holds the orders of one process; `standing` costs next to nothing."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start with none."""
        self._now = now
        self._latest = now()
        self._orders = Orders()
        self._offline: PolicyException | None = None
        self._window: Window | None = None

    def orders(self) -> Orders:
        """Return all that is on record, and the exception that was made on this host and is not on record yet."""
        if self._offline is None or any(e.id == self._offline.id for e in self._orders.exceptions):
            return self._orders
        mine = self._offline
        return replace(self._orders, exceptions=(*self._orders.exceptions, mine), unrecorded=mine.id)

    @property
    def recorded(self) -> Orders:
        """What is on record alone."""
        return self._orders

    def put(self, orders: Orders) -> None:
        """Have these stand from now on."""
        self._orders, self._window = orders, None

    def put_offline(self, exception: PolicyException | None) -> None:
        """Have this exception, made on this host, stand beside what is on record."""
        if exception != self._offline:
            self._offline, self._window = exception, None

    def standing(self) -> Standing:
        """Return what is in force now."""
        now = self._now()
        self._latest = max(self._latest, now)
        if self._window is None or not self._window.spans(now):
            self._window = standing_at(self.orders(), now, self._latest)
        return self._window.standing


def with_denial(orders: Orders, denial: Denial, now: datetime) -> Orders:
    """Return the orders with this one among them; those that are over make room. Raises ValueError."""
    there = tuple(d for d in orders.denials if d.holds_at(now))
    if len(there) >= DENIALS:
        raise ValueError(f"there are {DENIALS} denials in force; remove what no longer matters: countersign deny list")
    return replace(orders, denials=(*there, denial))


def with_exception(orders: Orders, exception: PolicyException) -> Orders:
    """Return the orders with this one among them, in the place of the one of its id. Raises ValueError."""
    if any(e.id == exception.id for e in orders.exceptions):
        changed = (exception if e.id == exception.id else e for e in orders.exceptions)
        return replace(orders, exceptions=tuple(changed))
    if sum(e.reviewed is None for e in orders.exceptions) >= UNREVIEWED:
        raise ValueError(
            f"{UNREVIEWED} exceptions wait for their review; review them first: countersign exceptions list"
        )
    return replace(orders, exceptions=(*orders.exceptions, exception))
