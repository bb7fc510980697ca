"""Calls that wait for a second person, as values: who asked for what exactly, and who may agree to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from proxy.trust.allotment import Allotment
from proxy.trust.names import same_name
from proxy.trust.roles import Permission, Role, permitted

WAITS_FOR = timedelta(hours=24)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", re.ASCII)


class ApprovalState(StrEnum):
    """Where a request stands. `approved` and never more: the server ended while it was being done."""

    PENDING = "pending"
    APPROVED = "approved"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Person:
    """Who calls, as requests and approvals know them: the name, how we know it, and the id where there is a token."""

    who: str
    how: str
    token_id: str = ""


@dataclass(frozen=True)
class Approval:
    """A call that was not done yet: the route by its name, what was given with it, and what it would have done then."""

    id: str
    route: str
    places: Mapping[str, str]
    body: str  # JSON, exactly as it was read; empty: none
    plan: tuple[str, ...]
    by: Person
    roles: tuple[Role, ...]
    request_id: str
    created: datetime
    expires: datetime
    state: ApprovalState = ApprovalState.PENDING
    decided_by: Person | None = None
    decided: datetime | None = None
    note: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)  # the body as lists show it


def decided(approval: Approval, state: ApprovalState, by: Person | None, now: datetime, note: str) -> Approval | None:
    """Return the request as somebody decided it; None where it was decided before. Nobody decides twice."""
    if approval.state is not ApprovalState.PENDING:
        return None
    return replace(approval, state=state, decided_by=by, decided=now, note=note)


def request_there(wanted: Approval, pending: Iterable[Approval], room: Allotment | None) -> Approval | None:
    """Return the request of the same person for the same that nobody decided yet, or None. Raises ValueError.

    `pending` are all of those; `room` is what the person may have of them, None where that is not bounded.
    """
    there = tuple(each for each in pending if wanted.created < each.expires)
    for each in there:
        same = (each.route, dict(each.places), each.body, each.roles) == (
            wanted.route, dict(wanted.places), wanted.body, wanted.roles,
        )  # fmt: skip
        if same and each.by == wanted.by and same_steps(each.plan, wanted.plan):
            return each
    if room is not None:
        what, mend = "requests that wait for a second person", "take some back: countersign approvals list"
        if why := room.refusal((each.by.who for each in there), what, mend):
            raise ValueError(why)
    return None


def ended(approval: Approval, state: ApprovalState, note: str) -> Approval | None:
    """Return an approved request with what came of it."""
    return replace(approval, state=state, note=note) if approval.state is ApprovalState.APPROVED else None


def same_steps(then: Iterable[str], now: Iterable[str]) -> bool:
    """True when two plans say the same but for their moments: what is asked for in days begins when it is done."""
    return [_MOMENT.sub("", step) for step in then] == [_MOMENT.sub("", step) for step in now]


def one_person(one: Person, other: Person) -> bool:
    """True where these cannot be two people: they have one token, or one name."""
    return bool(one.token_id and one.token_id == other.token_id) or same_name(one.who) == same_name(other.who)


def short_of_two(roles: Iterable[Role], holders: Iterable[tuple[str, Collection[Role]]]) -> bool:
    """True while fewer than two people have each of these roles that may agree: then nobody could agree to a third.

    `holders` are the names and roles of those who count as people.
    """
    there = tuple(holders)
    return all(len({same_name(name) for name, has in there if role in has}) < 2 for role in roles if agrees((role,)))


def agrees(roles: Collection[Role]) -> bool:
    """True where a holder of these roles, for all repositories, is one who may agree to what others ask for."""
    return permitted(roles, Permission.APPROVE)
