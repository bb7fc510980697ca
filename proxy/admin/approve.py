"""Dual control: one person requests a call, another agrees, the call runs as requested; each step is journaled."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from proxy.admin import approval as approvals_of
from proxy.admin.approval import WAITS_FOR, Approval, ApprovalState, one_person, same_steps
from proxy.admin.certificates import may_ask
from proxy.admin.operation import Call, Operation, reason_of
from proxy.admin.ports import AdminTokens, Approvals, KnownPeople
from proxy.admin.shapes import ApprovalShown, filled, kept
from proxy.admin.token import expiry_reason
from proxy.admin.token_operations import NewToken
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Conflict, Corrupt, Fault, Forbidden, NotFound, Unavailable, quoted
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.allotment import allotment
from proxy.trust.roles import beyond, holders, permitted

EXPIRE_S = 30.0  # interval of the search for undecided requests that have expired
_KINDS = {
    ApprovalState.APPROVED: EventKind.APPROVAL_GIVEN,
    ApprovalState.REJECTED: EventKind.APPROVAL_REJECTED,
    ApprovalState.EXPIRED: EventKind.APPROVAL_EXPIRED,
}


async def hold(operation: Operation, call: Call) -> Approval:
    """Return the stored request for this call, after its plan has shown that it could be executed now.

    An equal request of the same person is returned instead of a second one. Raises Fault, Unavailable.
    """
    if call.actor.scope:  # a request is carried out without the scope of who made it
        raise Forbidden(
            f"this waits for a second person (admin.dual_control), and {quoted(call.actor.name)} is for some "
            "repositories; request it with a token for all repositories"
        )
    await _must_count(call.actor, call.use(AdminTokens))
    if isinstance(call.body, NewToken) and call.body.fingerprint is None:
        raise Conflict(
            f"{quoted(call.body.name)} could approve the requests of others (admin.dual_control), so only its holder "
            "may see that token: have the holder run countersign tokens draft, and request it with its fingerprint"
        )
    wanted = Approval(
        id=secrets.token_hex(8),
        route=operation.route.name,
        places=dict(call.path_params),
        body="" if call.body is None else call.body.model_dump_json(),
        plan=await operation.planned(call),
        by=call.actor,
        created=call.now,
        expires=call.now + WAITS_FOR,
        given={} if call.body is None else kept(call.body),
    )
    return await ask(wanted, call.use(Approvals), call.ports)


async def ask(wanted: Approval, approvals: Approvals, ports: Ports) -> Approval:
    """Return the stored request. Raises Fault when the requester's allotment is full, Unavailable."""
    request = _event(EventKind.APPROVAL_ASKED, wanted, wanted.by, {"given": dict(wanted.given)}, ports)
    limit = ports.limits.approvals
    try:
        return await approvals.add(wanted, request, allotment(limit, limit, wanted.by.name, wanted.by.rank))
    except ValueError as full:
        raise Conflict(str(full)) from None


async def find(call: Call) -> Approval:
    """Return the request that the call names. Raises NotFound, Unavailable."""
    approval_id = call.path_params["id"]
    found = await call.use(Approvals).find(approval_id)
    if found is None:
        raise NotFound(f"no request {quoted(approval_id)}; list them with: countersign approvals list")
    return found


async def ready(call: Call) -> tuple[Approval, Operation, Call]:
    """Return the request and its original call if the caller may agree and its plan is still the same.

    Raises Fault, Unavailable, Corrupt.
    """
    wanted = await _pending(call)
    operation = _decided_on_by(call.actor, wanted, call)
    await _may_agree(wanted, operation, call)
    body = None if operation.route.body is None else operation.route.body.model_validate_json(wanted.body)
    actor = replace(wanted.by, reason=reason_of(body))
    again = replace(call, actor=actor, path_params=wanted.places, query=None, body=body, agreed_by=call.actor.name)
    now = await operation.planned(again)
    if not same_steps(wanted.plan, now):
        raise Conflict(
            f"the plan has changed since {quoted(wanted.by.name)} requested it; now it would {'; '.join(now)}: "
            "reject it"
        )
    return wanted, operation, again


async def agree(call: Call) -> tuple[Approval, BaseModel]:
    """Execute the requested call, once; return the request with its outcome, and the call's result.

    Raises Fault when the request was decided in the meantime, and whatever the requested call raises.
    """
    wanted, operation, again = await ready(call)
    approvals = call.use(Approvals)
    agreed = await decide(wanted, ApprovalState.APPROVED, call.actor, approvals, call.ports)
    try:
        result = await operation.execute(again)
    except (Fault, Unavailable, Corrupt) as failed:
        await _end(agreed, ApprovalState.FAILED, str(failed), approvals)
        raise
    return await _end(agreed, ApprovalState.DONE, call.actor.reason, approvals), result


async def turn_down(call: Call) -> Approval:
    """Return the request, rejected, or withdrawn by its requester. Raises Fault, Unavailable."""
    wanted = await _pending(call)
    if call.actor.key != wanted.by.key:
        _decided_on_by(call.actor, wanted, call)
        await _must_count(call.actor, call.use(AdminTokens))
    return await decide(wanted, ApprovalState.REJECTED, call.actor, call.use(Approvals), call.ports)


async def expire(approvals: Approvals, ports: Ports) -> None:
    """Expire and journal undecided requests that are past their expiry time. Raises Unavailable."""
    now = ports.clock.now()
    for late in await approvals.overdue(now):
        gone = partial(approvals_of.decided, state=ApprovalState.EXPIRED, by=None, now=now, note="nobody decided")
        if (expired := await approvals.change(late.id, gone)) is not None:
            await ports.journal.record(_event(EventKind.APPROVAL_EXPIRED, expired, Actor("countersign", ""), {}, ports))


async def decide(wanted: Approval, state: ApprovalState, by: Actor, approvals: Approvals, ports: Ports) -> Approval:
    """Return the request with this person's decision. Raises Fault when it was decided before, Unavailable."""
    note = by.reason[:500]
    done = await approvals.change(
        wanted.id, partial(approvals_of.decided, state=state, by=by, now=ports.clock.now(), note=note)
    )
    if done is None:
        raise Conflict(f"somebody else decided request {wanted.id} at the same moment")
    await ports.journal.record(_event(_KINDS[state], done, by, {"reason": note}, ports))
    return done


async def _pending(call: Call) -> Approval:
    """Return the request that the call names if it may still be decided. Raises Fault, Unavailable."""
    found = await find(call)
    if found.state is not ApprovalState.PENDING:
        raise Conflict(f"request {found.id} was decided before: it is {found.state}")
    if call.now >= found.expires:
        raise Conflict(f"request {found.id} expired at {found.expires:%Y-%m-%d %H:%M} UTC: request it again")
    return found


def _decided_on_by(actor: Actor, wanted: Approval, call: Call) -> Operation:
    """Return the requested operation if the actor's roles may decide on the request. Raises Fault."""
    operation = call.operations.get(wanted.route)
    if operation is None:
        raise Conflict(f"this version has no call {wanted.route}: reject it")
    route = operation.route
    if not permitted(actor.roles, route.permission):
        raise Forbidden(f"only a holder of the role {', '.join(holders(route.permission))} decides on this")
    if route.body is NewToken and (more := beyond(actor.roles, NewToken.model_validate_json(wanted.body).roles)):
        raise Forbidden(f"only a holder of the role {', '.join(more)} may approve that it is granted")
    return operation


async def _may_agree(wanted: Approval, operation: Operation, call: Call) -> None:
    """Raise Fault unless the caller may agree and the requester may still request the call. Raises Unavailable."""
    tokens, asked_by = call.use(AdminTokens), ascii(wanted.by.name)
    await _must_count(call.actor, tokens)
    if one_person(wanted.by, call.actor):
        raise Forbidden(
            f"{asked_by} requested this and cannot approve it as {quoted(call.actor.name)}: another person must"
        )
    if wanted.by.token_id:
        token = await tokens.find(wanted.by.token_id)
        ended = "is gone" if token is None else expiry_reason(token, call.now)
        if ended is None and token is not None and not token.counts:
            ended = "was made by one person alone"
        if ended is not None:
            raise Conflict(f"the token of {asked_by}, who requested this, {ended}: reject it")
    if not may_ask(wanted.by, operation.route.permission, call.use(KnownPeople)()):
        raise Conflict(f"{asked_by}, who requested this, may no longer request it (admin.certificates): reject it")


async def _must_count(by: Actor, tokens: AdminTokens) -> None:
    """Raise Fault if one person alone made the caller's token: it is not one of two people. Raises Unavailable."""
    token = await tokens.find(by.token_id) if by.token_id else None
    if by.token_id and (token is None or not token.counts):
        maker = "an unknown maker" if token is None else repr(token.by)
        raise Forbidden(
            f"{maker} alone made the token of {quoted(by.name)}: under dual control (admin.dual_control) it can "
            "neither request nor approve; on the host: countersign tokens create NAME --role ROLE"
        )


async def _end(agreed: Approval, state: ApprovalState, note: str, approvals: Approvals) -> Approval:
    """Return the request with the outcome of its call. Raises Unavailable."""
    return await approvals.change(agreed.id, partial(approvals_of.ended, state=state, note=note[:500])) or agreed


def _event(kind: EventKind, about: Approval, by: Actor, detail: Mapping[str, Any], ports: Ports) -> Event:
    told = {"approval": about.id, "call": about.route, "asked_by": about.by.name, "plan": list(about.plan), **detail}
    if about.places:
        told["places"] = dict(about.places)
    return Event(ports.clock.now(), kind, by.name, by.authenticated_by, request_id=about.by.request_id, detail=told)


def shown(approval: Approval) -> ApprovalShown:
    """Return the request in the form of the admin API."""
    by = approval.decided_by
    return filled(
        ApprovalShown,
        approval,
        call=approval.route,
        places=dict(approval.places),
        given=dict(approval.given),
        who=approval.by.name,
        how=approval.by.authenticated_by,
        decided_by="" if by is None else f"{by.name} ({by.authenticated_by})",
        request_id=approval.by.request_id,
    )
