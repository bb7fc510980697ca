"""What operators ordered beside the policies."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from proxy.trust.allotment import Allotment
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.overrides import AllOverrides, Overrides
from proxy.trust.policy import PolicySet
from proxy.trust.unsigned_push import UnsignedPush


class Books(Protocol):
    """How old what this process knows of denials and keys may be."""

    def age(self) -> float:
        """Return how many seconds ago it was as the store has it; 0 where no other server writes the store."""


class OverrideStore(Protocol):
    """Denials and exceptions. `in_force` and `orders` answer from memory; changes raise Unavailable."""

    def in_force(self) -> Overrides:
        """Return the denials and exceptions in force now."""

    def orders(self) -> AllOverrides:
        """Return all that is on record, oldest first, what is over too."""

    async def deny(self, denial: Denial, room: Allotment | None = None) -> None:
        """Keep a denial, in the place of the holder's own of the same target; in force on return.

        Raises ValueError when there is no room for it (None: there always is).
        """

    async def lift(self, denial_id: str) -> Denial | None:
        """Remove a denial and return it, or None when there is none of this id."""

    async def keep(self, exception: PolicyException, room: Allotment | None = None) -> bool:
        """Keep an exception, new or changed; in force on return. False when it was there just so, or is closed.

        Raises ValueError when there is no room for a new one (None: there always is).
        """


class UnsignedPushes(Protocol):
    """What was pushed unsigned under an exception. All calls but `waiting` raise Unavailable."""

    def waiting(self) -> int:
        """Return how many are not settled, as far as this process knows."""

    async def record_unsigned(self, *pushes: UnsignedPush) -> None:
        """Keep these, open; what was pushed before likewise is open again. Durable on return."""

    async def due(self, before: datetime, limit: int) -> tuple[UnsignedPush, ...]:
        """Return open ones that were not tried since then, in the order they were pushed."""

    async def note(self, push: UnsignedPush) -> None:
        """Keep what has become of it: settled, tried, note."""

    async def page(self, limit: int, skip: int) -> tuple[UnsignedPush, ...]:
        """Return all there were, newest first."""


class Rules(Protocol):
    """The policies in force."""

    def current(self) -> PolicySet:
        """Return all policies at their current revision."""
