"""The person or program that requests a change, and the reason."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.trust.allotment import Rank


@dataclass(frozen=True)
class Actor:
    """The requester's name, how it is proven, the reason, the request, and the rank for shared quotas."""

    who: str
    how: str
    reason: str
    request_id: str = ""
    rank: Rank = Rank.SCOPED

    @property
    def key(self) -> tuple[str, str]:
        """Identity for limits per caller."""
        return (self.who, self.how)
