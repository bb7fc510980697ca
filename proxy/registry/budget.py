"""The budget of one request: every cost is counted where it arises, however the costs multiply (ATTACKS 38)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import thread_time
from typing import TypeVar

from proxy.oci.faults import Told, Unavailable
from proxy.oci.limits import Limits

T = TypeVar("T")
HALF = 1 / 2  # of the rest: one part of the work may use this much, so that the next part has something left
LARGE_PART = 1 / 8  # of the whole: if a part this large is not enough, the image is the cause
KEPT_BYTES = 1024 * 1024  # of data already read, in case the same digest is needed again
# Each kind of cost: its limit, and the words used in messages.
_KINDS: Mapping[str, tuple[str, str]] = {
    "bytes": ("request_bytes", "bytes read from upstream"),
    "values": ("request_values", "JSON values"),
    "lookups": ("request_lookups", "questions to upstream"),
    "signatures": ("request_signatures", "signatures examined"),
    "seconds": ("request_cpu_s", "seconds of processor time"),
}


class Exhausted(Unavailable):
    """The budget of this request is too small to examine everything. Unexamined items are not absent."""

    def __init__(self, what: str) -> None:
        super().__init__(what, told=Told.MUCH)


class Budget:
    """What one request has spent; possibly a part of a larger budget.

    `notes` lists what a bound left out of an otherwise good response; they become its Warning header. Spending for a
    request that no caller waits for any more raises CancelledError, always between two steps, never within one.
    """

    def __init__(self, clock: Callable[[], float] = thread_time) -> None:
        """Start with nothing spent. `clock` returns the processor seconds of this thread."""
        self.clock = clock
        self.spent: dict[str, float] = dict.fromkeys(_KINDS, 0)
        self.notes: list[str] = []
        # the budgets that share this work; None for a single request's own work
        self._waiting: list[Budget] | None = None
        self._whole: Budget | None = None
        self._most: dict[str, float] | None = None
        self._left: Callable[[], bool] = bool  # no caller has left
        self._kept: dict[object, bytes] = {}

    def allowed(self, limits: Limits) -> dict[str, float]:
        """Return the total that may be spent of each kind."""
        return self._most or {kind: getattr(limits, name) for kind, (name, _) in _KINDS.items()}

    def shared(self) -> tuple[Budget, list[Budget]]:
        """Return a budget for shared work, and the list of waiting callers' budgets: the work ends with the last."""
        shared, waiting = Budget(self.clock), list[Budget]()
        shared._waiting = waiting
        return shared, waiting

    def part(self, limits: Limits) -> Budget:
        """Return a budget of half the rest of this one; spending from it counts here too."""
        part = Budget(self.clock)
        part._whole = self
        part._most = {kind: max(most - self.spent[kind], 0) * HALF for kind, most in self.allowed(limits).items()}
        part._kept = self._kept
        return part

    def spend(self, limits: Limits, **amounts: float) -> None:
        """Add these amounts. Raises Exhausted when this budget, or one it is a part of, is exceeded."""
        for kind, amount in amounts.items():
            self.add(kind, amount)
        self.check(limits)

    def check(self, limits: Limits) -> None:
        """Raise Exhausted if the budget is exceeded, CancelledError if no caller waits any more."""
        if self.gone:
            raise asyncio.CancelledError("nobody waits for this any more")
        why = self.used_up(limits)
        if why is not None:
            raise Exhausted(why)

    def used_up(self, limits: Limits) -> str | None:
        """Return which kind is exceeded, as text, or None."""
        if self._whole is None and not any(self.spent.values()):
            return None
        allowed = self.allowed(limits)
        for kind, (name, words) in _KINDS.items():
            if self.spent[kind] > allowed[kind]:
                most = f"{allowed[kind]:,.0f}" if allowed[kind] >= 10 else f"{allowed[kind]:.2g}"
                return f"more than {most} {words} would be needed to look at all of it (limits.{name})"
        return None if self._whole is None else self._whole.used_up(limits)

    def is_large(self, limits: Limits) -> bool:
        """True for a part large enough for every normal image: if it is used up, the image is the cause."""
        allowed = self.allowed(limits)
        return all(allowed[kind] >= getattr(limits, name) * LARGE_PART for kind, (name, _) in _KINDS.items())

    def timed(self, work: Callable[[], T]) -> T:
        """Return the result of work without an await, with its processor time counted."""
        began = self.clock()
        try:
            return work()
        finally:
            self.add("seconds", max(self.clock() - began, 0))

    def add(self, kind: str, amount: float) -> None:
        """Add this amount here and in the budget that this one is a part of."""
        self.spent[kind] += amount
        if self._whole is not None:
            self._whole.add(kind, amount)

    def absorb(self, other: Budget) -> None:
        """Add the cost of work shared with other requests."""
        for kind, amount in other.spent.items():
            self.add(kind, amount)
        self.notes += [note for note in other.notes if note not in self.notes]

    def keep(self, name: object, data: bytes) -> None:
        """Remember small data that was read and hashed, until this request ends."""
        if sum(map(len, self._kept.values())) + len(data) <= KEPT_BYTES:
            self._kept[name] = data

    def kept(self, name: object) -> bytes | None:
        """Return the data remembered under this name, or None."""
        return self._kept.get(name)

    def while_not(self, left: Callable[[], bool]) -> None:
        """End the work of this budget as soon as `left` reports that its caller is gone."""
        self._left = left

    @property
    def gone(self) -> bool:
        """True once no caller waits for the work this budget pays for."""
        if self._whole is not None and self._whole.gone:
            return True
        return self._left() or (self._waiting is not None and all(each.gone for each in self._waiting))
