"""What operators ordered beside the policies."""

from __future__ import annotations

from typing import Protocol

from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.standing import Orders, Standing


class Interventions(Protocol):
    """Denials and exceptions. `standing` and `orders` answer from memory; changes raise Unavailable."""

    def standing(self) -> Standing:
        """Return the denials and exceptions in force now."""

    def orders(self) -> Orders:
        """Return all that is on record, oldest first, what is over too."""

    async def deny(self, denial: Denial) -> None:
        """Keep a denial; in force on return. Raises ValueError when there are too many to look at."""

    async def lift(self, denial_id: str) -> Denial | None:
        """Remove a denial and return it, or None when there is none of this id."""

    async def keep(self, exception: PolicyException) -> bool:
        """Keep an exception, new or changed; in force on return. False when it was there just so.

        Raises ValueError when too many wait for their review.
        """
