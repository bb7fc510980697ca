"""What one request may cost, whatever the product of its parts: counted where it is spent (ATTACKS 38)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import thread_time
from typing import TypeVar

from proxy.oci.faults import Told, Unavailable
from proxy.oci.limits import Limits

T = TypeVar("T")
HALF = 1 / 2  # of what is left: what one part of the work may use, so that what comes after it has something left
LARGE_PART = 1 / 8  # of the whole: a part of at least this much that did not suffice says something about the image
KEPT_BYTES = 1024 * 1024  # of what was read, for when the same digest is asked for again
# Each kind, the limit it is held to, and how people are told.
_KINDS: Mapping[str, tuple[str, str]] = {
    "bytes": ("request_bytes", "bytes read from upstream"),
    "values": ("request_values", "JSON values"),
    "lookups": ("request_lookups", "questions to upstream"),
    "signatures": ("request_signatures", "signatures examined"),
    "seconds": ("request_cpu_s", "seconds of processor time"),
}


class Exhausted(Unavailable):
    """The budget of this request does not suffice to look at everything. What was not looked at is not absent."""

    def __init__(self, what: str) -> None:
        super().__init__(what, told=Told.MUCH)


class Budget:
    """What one request has spent, and which part of a whole it is.

    `notes` are what a bound left out of an answer that is good all the same: they become its Warning. Whoever spends
    for a request that nobody waits for any more gets CancelledError, always between two steps, never within one.
    """

    def __init__(self, clock: Callable[[], float] = thread_time) -> None:
        """Start with nothing spent. `clock` counts the processor seconds of this thread."""
        self.clock = clock
        self.spent: dict[str, float] = dict.fromkeys(_KINDS, 0)
        self.notes: list[str] = []
        self._waiting: list[Budget] | None = None  # those who share this work; None where it is one request's own
        self._whole: Budget | None = None
        self._most: dict[str, float] | None = None
        self._left: Callable[[], bool] = bool  # nobody has
        self._kept: dict[object, bytes] = {}

    def allowed(self, limits: Limits) -> dict[str, float]:
        """Return how much of each kind this may spend altogether."""
        return self._most or {kind: getattr(limits, name) for kind, (name, _) in _KINDS.items()}

    def shared(self) -> tuple[Budget, list[Budget]]:
        """Return a budget for work that several may wait for, and the list of those who do: it ends with the last."""
        shared, waiting = Budget(self.clock), list[Budget]()
        shared._waiting = waiting
        return shared, waiting

    def part(self, limits: Limits) -> Budget:
        """Return a budget of half of what is left here; what it spends is spent here too."""
        part = Budget(self.clock)
        part._whole = self
        part._most = {kind: max(most - self.spent[kind], 0) * HALF for kind, most in self.allowed(limits).items()}
        part._kept = self._kept
        return part

    def spend(self, limits: Limits, **amounts: float) -> None:
        """Count this. Raises Exhausted once there is more than this, or what it is a part of, may spend."""
        for kind, amount in amounts.items():
            self.add(kind, amount)
        self.check(limits)

    def check(self, limits: Limits) -> None:
        """Raise Exhausted where more was spent than may be, CancelledError where nobody waits any more."""
        if self.gone:
            raise asyncio.CancelledError("nobody waits for this any more")
        why = self.used_up(limits)
        if why is not None:
            raise Exhausted(why)

    def used_up(self, limits: Limits) -> str | None:
        """Return what there is too little of, or None."""
        if self._whole is None and not any(self.spent.values()):
            return None
        allowed = self.allowed(limits)
        for kind, (name, words) in _KINDS.items():
            if self.spent[kind] > allowed[kind]:
                most = f"{allowed[kind]:,.0f}" if allowed[kind] >= 10 else f"{allowed[kind]:.2g}"
                return f"more than {most} {words} would be needed to look at all of it (limits.{name})"
        return None if self._whole is None else self._whole.used_up(limits)

    def is_large(self, limits: Limits) -> bool:
        """True for a part that would have sufficed for any image in good order: what used it up is about the image."""
        allowed = self.allowed(limits)
        return all(allowed[kind] >= getattr(limits, name) * LARGE_PART for kind, (name, _) in _KINDS.items())

    def timed(self, work: Callable[[], T]) -> T:
        """Return the result of work that has no await in it, with its processor time counted."""
        began = self.clock()
        try:
            return work()
        finally:
            self.add("seconds", max(self.clock() - began, 0))

    def add(self, kind: str, amount: float) -> None:
        """Count this, here and in what this is a part of."""
        self.spent[kind] += amount
        if self._whole is not None:
            self._whole.add(kind, amount)

    def absorb(self, other: Budget) -> None:
        """Count what work cost that was shared with others."""
        for kind, amount in other.spent.items():
            self.add(kind, amount)
        self.notes += [note for note in other.notes if note not in self.notes]

    def keep(self, name: object, data: bytes) -> None:
        """Remember small bytes that were read and hashed, for as long as this request takes."""
        if sum(map(len, self._kept.values())) + len(data) <= KEPT_BYTES:
            self._kept[name] = data

    def kept(self, name: object) -> bytes | None:
        """Return what was read under this name before, or None."""
        return self._kept.get(name)

    def while_not(self, left: Callable[[], bool]) -> None:
        """Have this end as soon as the one whose request it is has `left`."""
        self._left = left

    @property
    def gone(self) -> bool:
        """True once nobody waits for what this pays for."""
        if self._whole is not None and self._whole.gone:
            return True
        return self._left() or (self._waiting is not None and all(each.gone for each in self._waiting))
