"""Approval requests as values: one person requests an exact call, and a second person may agree to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from proxy.trust.actor import Actor
from proxy.trust.allotment import Allotment
from proxy.trust.names import same_name
from proxy.trust.roles import Permission, Role, permitted

WAITS_FOR = timedelta(hours=24)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", re.ASCII)


class ApprovalState(StrEnum):
    """The state of an approval request. It stays `approved` if the server stopped while executing the call."""

    PENDING = "pending"
    APPROVED = "approved"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Approval:
    """A requested call that has not been executed yet: its route by name, its parameters, and its plan at that time."""

    id: str
    route: str
    places: Mapping[str, str]
    body: str  # JSON, exactly as received; empty: no body
    plan: tuple[str, ...]
    by: Actor
    created: datetime
    expires: datetime
    state: ApprovalState = ApprovalState.PENDING
    decided_by: Actor | None = None
    decided: datetime | None = None
    note: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)  # the body as shown in lists


def decided(approval: Approval, state: ApprovalState, by: Actor | None, now: datetime, note: str) -> Approval | None:
    """Return the request with this decision; None if it has been decided before. A request is decided only once."""
    if approval.state is not ApprovalState.PENDING:
        return None
    return replace(approval, state=state, decided_by=by, decided=now, note=note)


def request_there(wanted: Approval, pending: Iterable[Approval], room: Allotment | None) -> Approval | None:
    """Return the same person's undecided request for the same call, or None. Raises ValueError: allotment full."""
    there = tuple(each for each in pending if wanted.created < each.expires)
    for each in there:
        same = (each.route, dict(each.places), each.body) == (wanted.route, dict(wanted.places), wanted.body)
        if same and each.by == wanted.by and same_steps(each.plan, wanted.plan):
            return each
    if room is not None:
        what, remedy = "requests that wait for a second person", "take some back: countersign approvals list"
        if why := room.refusal((each.by.name for each in there), what, remedy):
            raise ValueError(why)
    return None


def ended(approval: Approval, state: ApprovalState, note: str) -> Approval | None:
    """Return an approved request with the outcome of its call; None if the request is in another state."""
    return replace(approval, state=state, note=note) if approval.state is ApprovalState.APPROVED else None


def same_steps(then: Iterable[str], now: Iterable[str]) -> bool:
    """True when two plans differ at most in their times: a duration in days counts from the execution of the call."""
    return [_MOMENT.sub("", step) for step in then] == [_MOMENT.sub("", step) for step in now]


def one_person(one: Actor, other: Actor) -> bool:
    """True if these two cannot be different people: they share a token or a name."""
    return bool(one.token_id and one.token_id == other.token_id) or same_name(one.name) == same_name(other.name)


def short_of_two(roles: Iterable[Role], holders: Iterable[tuple[str, Collection[Role]]]) -> bool:
    """True while each of these roles that may approve has fewer than two holders: no second person could then approve.

    `holders` are the names and roles of those who count as people.
    """
    there = tuple(holders)
    return all(len({same_name(name) for name, has in there if role in has}) < 2 for role in roles if agrees((role,)))


def agrees(roles: Collection[Role]) -> bool:
    """True if a holder of these roles, with access to all repositories, may approve the requests of others."""
    return permitted(roles, Permission.APPROVE)
