"""Dual control: one person requests a call, another agrees, the call runs as requested; each step is journaled."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from proxy.admin import approval as approvals_of
from proxy.admin.approval import Approval, ApprovalState, Person, one_person
from proxy.admin.approvals_port import Approvals
from proxy.admin.token import expiry_reason
from proxy.admin.tokens_port import AdminTokens
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault
from proxy.registry.ports_in_use import Ports
from proxy.trust.allotment import allotment, rank_of

EXPIRE_S = 30.0  # interval of the search for undecided requests that have expired


async def ask(wanted: Approval, approvals: Approvals, ports: Ports) -> Approval:
    """Return the stored request, which waits for a second person; an equal request that exists is returned instead."""
    wanted = replace(wanted, id=secrets.token_hex(8))
    request = _event(EventKind.APPROVAL_ASKED, wanted, wanted.by, {"given": dict(wanted.given)}, ports)
    limit = ports.limits.approvals
    try:
        return await approvals.add(wanted, request, allotment(limit, limit, wanted.by.who, rank_of(wanted.roles, ())))
    except ValueError as full:
        raise Fault("DENIED", str(full), status=409) from None


async def pending(approval_id: str, approvals: Approvals, ports: Ports) -> Approval:
    """Return a request that may still be decided. Raises Fault, Unavailable."""
    found = await approvals.find(approval_id)
    if found is None:
        raise Fault("NAME_UNKNOWN", f"there is no request {approval_id!a}; there are: countersign approvals list")
    if found.state is not ApprovalState.PENDING:
        raise Fault("DENIED", f"request {found.id} was decided before: it is {found.state}", status=409)
    if ports.clock.now() >= found.expires:
        raise Fault(
            "DENIED", f"request {found.id} expired at {found.expires:%Y-%m-%d %H:%M} UTC: ask again", status=409
        )
    return found


async def may_agree(wanted: Approval, by: Person, tokens: AdminTokens, ports: Ports) -> None:
    """Raise Fault unless this person may agree and the requester may still request the call. Raises Unavailable."""
    await must_count(by, tokens)
    if one_person(wanted.by, by):
        raise Fault(
            "DENIED", f"{wanted.by.who!a} asked for this and cannot agree to it as {by.who!a}: ask somebody else"
        )
    if not wanted.by.token_id:
        return
    actor = await tokens.find(wanted.by.token_id)
    ended = "is gone" if actor is None else expiry_reason(actor, ports.clock.now())
    if ended is None and actor is not None and not actor.counts:
        ended = "was made by one person alone"
    if ended is not None:
        raise Fault("DENIED", f"the token of {wanted.by.who!a}, who asked for this, {ended}: reject it", status=409)


async def must_count(by: Person, tokens: AdminTokens) -> None:
    """Raise Fault if one person alone made the caller's token: it is not one of two people. Raises Unavailable."""
    token = await tokens.find(by.token_id) if by.token_id else None
    if by.token_id and (token is None or not token.counts):
        maker = "nobody we know" if token is None else repr(token.by)
        raise Fault(
            "DENIED",
            f"{maker} alone made the token of {by.who!a}: where two people are asked for (admin.dual_control) it asks "
            "for nothing and agrees to nothing; on the host: countersign tokens create NAME --role ROLE",
        )


async def agree(wanted: Approval, by: Person, reason: str, approvals: Approvals, ports: Ports) -> Approval:
    """Return the request, approved by this person alone; the caller must now execute the requested call, once.

    Raises Fault when the request was decided in the meantime, Unavailable.
    """
    agreed = await _decide(wanted, ApprovalState.APPROVED, by, reason, approvals, ports)
    await ports.journal.record(_event(EventKind.APPROVAL_GIVEN, agreed, by, {"reason": reason[:500]}, ports))
    return agreed


async def reject(wanted: Approval, by: Person, reason: str, approvals: Approvals, ports: Ports) -> Approval:
    """Return the request, rejected or withdrawn. Raises Fault when it was decided in the meantime, Unavailable."""
    gone = await _decide(wanted, ApprovalState.REJECTED, by, reason, approvals, ports)
    await ports.journal.record(_event(EventKind.APPROVAL_REJECTED, gone, by, {"reason": reason[:500]}, ports))
    return gone


async def came_to(agreed: Approval, state: ApprovalState, note: str, approvals: Approvals) -> Approval:
    """Return the request with the outcome of its call. Raises Unavailable."""
    return await approvals.change(agreed.id, partial(approvals_of.ended, state=state, note=note[:500])) or agreed


async def expire(approvals: Approvals, ports: Ports) -> None:
    """Expire and journal undecided requests that are past their expiry time. Raises Unavailable."""
    now = ports.clock.now()
    for late in await approvals.overdue(now):
        gone = partial(approvals_of.decided, state=ApprovalState.EXPIRED, by=None, now=now, note="nobody decided")
        if (expired := await approvals.change(late.id, gone)) is not None:
            await ports.journal.record(
                _event(EventKind.APPROVAL_EXPIRED, expired, Person("countersign", ""), {}, ports)
            )


async def _decide(
    wanted: Approval, state: ApprovalState, by: Person, note: str, approvals: Approvals, ports: Ports
) -> Approval:
    change = partial(approvals_of.decided, state=state, by=by, now=ports.clock.now(), note=note[:500])
    done = await approvals.change(wanted.id, change)
    if done is None:
        raise Fault("DENIED", f"somebody else decided request {wanted.id} at the same moment", status=409)
    return done


def _event(kind: EventKind, about: Approval, by: Person, detail: Mapping[str, Any], ports: Ports) -> Event:
    told = {"approval": about.id, "call": about.route, "asked_by": about.by.who, "plan": list(about.plan), **detail}
    if about.places:
        told["places"] = dict(about.places)
    return Event(ports.clock.now(), kind, by.who, by.how, request_id=about.request_id, detail=told)
