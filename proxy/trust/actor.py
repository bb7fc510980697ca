"""Who wants something changed, and why."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.trust.allotment import Rank


@dataclass(frozen=True)
class Actor:
    """Who wants it, how we know, why, in which request, and where they stand when it comes to what is kept for all."""

    who: str
    how: str
    reason: str
    request_id: str = ""
    rank: Rank = Rank.SCOPED
