"""The life of an exception: opened with a scope, duration and reason; closed by hand or at its end; then reviewed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from proxy.journal.event import Event, EventKind
from proxy.oci.duration import span_text
from proxy.oci.faults import Conflict, Forbidden, NotFound, Unavailable, quoted
from proxy.oci.reference import Digest
from proxy.overrides.changes import same_exception, with_exception
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.allotment import Allotment, allotment
from proxy.trust.exception import PolicyException

ITS_END = "its end"


@dataclass(frozen=True)
class ExceptionRequest:
    """The scope of a requested exception, and its duration in seconds."""

    repositories: str  # a pattern
    digest: Digest | None
    seconds: int
    unsigned_push: bool = False


async def open_exception(wish: ExceptionRequest, longest_s: float, actor: Actor, ports: Ports) -> PolicyException:
    """Return the open exception: a new one, or the actor's open one for the same scope, extended to the new end.

    Raises Fault (too long, too many unreviewed, closed in the meantime), Unavailable.
    """
    made = may_open(wish, longest_s, actor, ports)
    await ports.journal.record(event(EventKind.EXCEPTION_OPENED, made, actor, ports))
    if not await _keep(made, ports, _room(actor, ports)):
        raise Conflict(f"exception {made.id} was closed at the same moment; open another")
    return made


def may_open(wish: ExceptionRequest, longest_s: float, actor: Actor, ports: Ports) -> PolicyException:
    """Return the exception as it would be open. Raises Fault if it is too long, or the actor's allotment is full.

    The actor's open exception for the same scope is extended, if its whole duration stays within `longest_s`.
    """
    if wish.seconds > longest_s:
        wished, longest = (span_text(timedelta(seconds=each)) for each in (wish.seconds, longest_s))
        raise Forbidden(
            f"{wished} is longer than the {longest} that you may open an exception for; "
            "open it for less, or ask a policy-admin"
        )
    now = ports.clock.now()
    wanted = PolicyException(
        id=secrets.token_hex(6),
        repositories=wish.repositories,
        digest=wish.digest,
        unsigned_push=wish.unsigned_push,
        reason=actor.reason[:500],
        by=actor.name,
        how=actor.authenticated_by,
        opened=now,
        until=now + timedelta(seconds=wish.seconds),
    )
    orders = ports.overrides.orders()
    for each in orders.exceptions:
        whole = wanted.until - each.opened <= timedelta(seconds=longest_s)
        if each.open_at(now) and not each.offline and whole and same_exception(each, wanted):
            return replace(each, until=wanted.until, reason=wanted.reason, how=wanted.how)
    try:
        with_exception(orders, wanted, _room(actor, ports))
    except ValueError as full:
        raise Conflict(str(full)) from None
    return wanted


def _room(actor: Actor, ports: Ports) -> Allotment:
    return allotment(ports.limits.exceptions, ports.limits.exceptions_each, actor.name, actor.rank)


async def close(exception_id: str, actor: Actor, ports: Ports) -> PolicyException:
    """Return the exception, closed. Raises Fault (unknown, or already ended), Unavailable."""
    found = may_close(exception_id, ports)
    closed = replace(found, closed=ports.clock.now(), closed_by=actor.name)
    await ports.journal.record(event(EventKind.EXCEPTION_CLOSED, closed, actor, ports))
    await _keep(closed, ports)
    return closed


def may_close(exception_id: str, ports: Ports) -> PolicyException:
    """Return an exception that has not ended. Raises Fault."""
    found = find(exception_id, ports)
    if is_over(found, ports):
        raise Conflict(f"exception {exception_id} has ended already")
    return found


async def review(exception_id: str, actor: Actor, ports: Ports) -> PolicyException:
    """Return the exception, reviewed: the actor's reason is the finding. Raises Fault, Unavailable."""
    found = find(exception_id, ports)
    if not is_over(found, ports):
        raise Conflict(
            f"exception {exception_id} is still open; close it first: "
            f"countersign exceptions close {exception_id} --reason TEXT"
        )
    if found.reviewed is not None:
        raise Conflict(f"exception {exception_id} was reviewed already, by {quoted(found.reviewed_by)}")
    done = replace(
        found,
        closed=found.closed or found.until,
        closed_by=found.closed_by or ITS_END,
        reviewed=ports.clock.now(),
        reviewed_by=actor.name,
        review=actor.reason[:500],
    )
    await ports.journal.record(event(EventKind.EXCEPTION_REVIEWED, done, actor, ports))
    await _keep(done, ports)
    return done


async def close_ended(ports: Ports) -> None:
    """Record exceptions that have reached their end as closed. Raises Unavailable.

    Every server that shares the store does this: the first one records the end.
    """
    orders = ports.overrides.orders()
    for each in orders.exceptions:
        if each.closed is None and each.id != orders.unrecorded and is_over(each, ports):
            ended = replace(each, closed=each.until, closed_by=ITS_END)
            if await ports.overrides.keep(ended):
                actor = Actor("countersign", "", "it expired")
                await ports.journal.record(event(EventKind.EXCEPTION_CLOSED, ended, actor, ports))


def find(exception_id: str, ports: Ports) -> PolicyException:
    """Return the exception with this id. Raises Fault."""
    found = next((e for e in ports.overrides.orders().exceptions if e.id == exception_id), None)
    if found is None:
        raise NotFound(f"no exception {quoted(exception_id)}; list them with: countersign exceptions list")
    return found


def is_over(exception: PolicyException, ports: Ports) -> bool:
    """True if the exception is closed or has reached its end."""
    return exception.closed is not None or exception.until <= ports.clock.now()


async def _keep(exception: PolicyException, ports: Ports, room: Allotment | None = None) -> bool:
    try:
        return await ports.overrides.keep(exception, room)
    except ValueError as full:
        raise Conflict(str(full)) from None
    except Unavailable as away:
        raise Unavailable(f"{away.what}; `countersign exceptions list` says whether it took effect") from None


def event(kind: EventKind, exception: PolicyException, actor: Actor, ports: Ports) -> Event:
    """Return the journal row for a step in the exception's life."""
    return ports.event(
        kind,
        actor,
        about=(exception.repositories, "", exception.digest or ""),
        detail={
            "exception": exception.id,
            "until": exception.until.isoformat(),
            "opened": exception.opened.isoformat(),
            "unsigned_push": exception.unsigned_push,
            "offline": exception.offline,
            "reason": actor.reason,
        },
    )
