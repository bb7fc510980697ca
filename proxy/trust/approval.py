"""Calls that wait for a second person, as values: who asked for what exactly, and who may agree to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from proxy.trust.admin_token import AdminToken
from proxy.trust.allotment import Allotment
from proxy.trust.names import same_name
from proxy.trust.roles import Role

WAITS_FOR = timedelta(hours=24)
# Who runs the host is one person to us, whatever is asked for in which of these names.
_HOST = frozenset({"operator on the host", "bootstrap", "countersign init"})
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


def one_person(one: Person, other: Person, tokens: Iterable[AdminToken]) -> str | None:
    """Return why these two cannot be two people, or None.

    Whoever makes a token has seen it. So two tokens count as two people only where nobody but the host's operator had
    a hand in both: not one in the other, and no third in the two.
    """
    if (one.token_id and one.token_id == other.token_id) or same_name(one.who) == same_name(other.who):
        return "both are the same"
    known = tuple(tokens)
    both = _hands(one.who, known) & _hands(other.who, known)
    if "" in both:
        return "both are whoever runs the host"
    return f"{min(both)} had a hand in both" if both else None


def _hands(who: str, tokens: tuple[AdminToken, ...]) -> frozenset[str]:
    """Return the names of all who have seen a token of this name: its holder, its makers, and theirs."""
    if who in _HOST:
        return frozenset({""})
    found, todo = set[str](), [same_name(who)]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [same_name(t.by) for t in tokens if same_name(t.name) == name and t.by not in _HOST]
    return frozenset(found)
