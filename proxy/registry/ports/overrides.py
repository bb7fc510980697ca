"""Operators' overrides of the policies."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from proxy.oci.slices import Slice
from proxy.trust.allotment import Allotment
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException, UnsignedPush
from proxy.trust.overrides import AllOverrides, Overrides
from proxy.trust.policy import PolicySet


class Books(Protocol):
    """The age of this process's copy of denials and keys."""

    def age(self) -> float:
        """Return the seconds since the copy matched the store; 0 if no other server writes the store."""


class OverrideStore(Protocol):
    """Denials and exceptions. `in_force` and `orders` answer from memory; changes raise Unavailable."""

    def in_force(self) -> Overrides:
        """Return the denials and exceptions in force now."""

    def orders(self) -> AllOverrides:
        """Return all recorded overrides, oldest first, including expired ones."""

    async def deny(self, denial: Denial, room: Allotment | None = None) -> None:
        """Store a denial in place of the holder's own one for the same target; in force on return.

        Raises ValueError when `room` is exhausted (None: no bound).
        """

    async def lift(self, denial_id: str) -> Denial | None:
        """Remove a denial and return it, or None if there is none with this id."""

    async def keep(self, exception: PolicyException, room: Allotment | None = None) -> bool:
        """Store a new or changed exception; in force on return. False if it was already stored like this, or is closed.

        Raises ValueError when `room` for a new one is exhausted (None: no bound).
        """


class UnsignedPushes(Protocol):
    """Images pushed unsigned under an exception. All calls but `waiting` raise Unavailable."""

    def waiting(self) -> int:
        """Return how many are not settled, as far as this process knows."""

    async def record_unsigned(self, *pushes: UnsignedPush) -> None:
        """Store these pushes as open; identical earlier pushes are open again. Durable on return."""

    async def due(self, before: datetime, limit: int) -> tuple[UnsignedPush, ...]:
        """Return open pushes that were not tried since `before`, in the order they were pushed."""

    async def note(self, push: UnsignedPush) -> None:
        """Store the outcome of a push: settled, tried, note."""

    async def page(self, part: Slice) -> tuple[UnsignedPush, ...]:
        """Return all recorded pushes, newest first; their key is time, repository, digest and tag."""


class Rules(Protocol):
    """The policies in force."""

    def current(self) -> PolicySet:
        """Return all policies at their current revision."""
