"""Changes to the overrides: a repeated order replaces the earlier one; allotments keep space for all holders."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from proxy.trust.allotment import Allotment
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.names import same_name
from proxy.trust.overrides import AllOverrides


def with_denial(orders: AllOverrides, denial: Denial, now: datetime, room: Allotment | None = None) -> AllOverrides:
    """Return the overrides with this denial, which replaces the same holder's denial of the same target.

    Expired denials are dropped. `room` is the holder's allotment, None: no limit. Raises ValueError when it is full.
    """
    there = tuple(d for d in orders.denials if d.holds_at(now) and d.id != denial.id and not same_order(d, denial))
    if room is not None:
        names = (d.by for d in there if d.digest is None)
        if why := room.refusal(names, "denials of repositories in force", "remove some first: countersign deny list"):
            raise ValueError(why)
    return replace(orders, denials=(*there, denial))


def same_order(one: Denial, other: Denial) -> bool:
    """True for two denials of one target by one holder."""
    return one.target == other.target and same_name(one.by) == same_name(other.by)


def same_exception(one: PolicyException, other: PolicyException) -> bool:
    """True for two exceptions of one scope by one holder."""
    identity = (one.repositories, one.digest, one.unsigned_push, same_name(one.by))
    return identity == (other.repositories, other.digest, other.unsigned_push, same_name(other.by))


def with_exception(orders: AllOverrides, exception: PolicyException, room: Allotment | None = None) -> AllOverrides:
    """Return the overrides with this exception, which replaces the one with its id; a closed one never reopens.

    `room` is the holder's allotment, None: no limit. Raises ValueError when it is full.
    """
    known = next((e for e in orders.exceptions if e.id == exception.id), None)
    if known is not None:
        if known.closed is not None and exception.closed is None:
            return orders
        changed = (exception if e.id == exception.id else e for e in orders.exceptions)
        return replace(orders, exceptions=tuple(changed))
    if room is not None:
        names = (e.by for e in orders.exceptions if e.reviewed is None)
        what, remedy = "exceptions that wait for their review", "review them first: countersign exceptions list"
        if why := room.refusal(names, what, remedy):
            raise ValueError(why)
    return replace(orders, exceptions=(*orders.exceptions, exception))
