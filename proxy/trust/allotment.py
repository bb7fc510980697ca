"""Quotas per holder for shared resources: denials, exceptions, jobs, requests, admin tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum

from proxy.oci.faults import quoted
from proxy.trust.names import same_name
from proxy.trust.roles import Permission, Role, permitted


class Rank(IntEnum):
    """The rank of the requester, the least trusted first."""

    SCOPED = 0  # a token for some repositories
    WHOLE = 1  # a token for all of them
    ABOVE = 2  # a holder who can revoke the tokens of the others


# Fractions of a limit: what this rank and those below may fill together, and what one holder may have alone.
_TOGETHER = {Rank.SCOPED: 1 / 2, Rank.WHOLE: 3 / 4, Rank.ABOVE: 1}
_ALONE = {Rank.WHOLE: 1 / 4, Rank.ABOVE: 1 / 2}


def rank_of(roles: Collection[Role], repositories: Collection[str]) -> Rank:
    """Return the rank of a holder with these roles, for these repositories (empty: for all)."""
    if repositories:
        return Rank.SCOPED
    return Rank.ABOVE if permitted(roles, Permission.CHANGE_TOKENS) else Rank.WHOLE


@dataclass(frozen=True)
class Allotment:
    """The holder's quota: `alone`, and only while all holders together have fewer than `together`.

    Holders are distinguished by name: a token that was revoked and recreated under its name is the same holder.
    """

    who: str
    alone: int
    together: int

    def refusal(self, holders: Iterable[str], what: str, remedy: str) -> str | None:
        """Return why there is no room for one more, or None. `holders` has the holder's name of each existing item."""
        names = [same_name(name) for name in holders]
        own = names.count(same_name(self.who))
        if own >= self.alone:
            return f"{quoted(self.who)} has {own} {what}, and one holder has no more; {remedy}"
        if len(names) >= self.together:
            return f"there are {len(names)} {what}, and the rest is kept for holders above {quoted(self.who)}; {remedy}"
        return None


def allotment(limit: int, each: int, who: str, rank: Rank) -> Allotment:
    """Return this holder's quota of `limit`; a holder whose token is for some repositories has at most `each`."""
    together = max(1, int(limit * _TOGETHER[rank]))
    alone = each if rank is Rank.SCOPED else max(1, int(limit * _ALONE[rank]))
    return Allotment(who, min(alone, together), together)
