"""Pull: judge, record, answer. Whatever raises on the way serves nothing."""

from __future__ import annotations

from proxy.flows.as_it_is import as_it_is, reason_of
from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.judge import Judged, judge
from proxy.flows.now import AGAIN, CHANGED, holds_still
from proxy.flows.outage import is_outage
from proxy.flows.reader import looks_to_push, pushes, reader
from proxy.flows.refuse import refuse_manifest
from proxy.flows.rows import record_refusal
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, is_digest
from proxy.ports import Effort, Headers
from proxy.trust import explain
from proxy.trust.decision import Decision, Outcome
from proxy.trust.event import Event, Kind
from proxy.trust.permit import Permission, permit
from proxy.trust.question import Caller, how_of, name_of
from proxy.trust.reason import Reason


async def pull(op: PullManifest, asked: Asked, house: House) -> Answer:
    """Return the very bytes that were judged, or raise the Fault that says who blocked them, why and what to do."""
    for _ in range(AGAIN):
        judged = await _judged(op, asked, house)
        if isinstance(judged, Answer):
            return judged
        caller = await _caller(op, judged, asked, house)
        permission = await _permission(op, judged, caller, asked, house)
        try:
            await _record(judged, permission, caller, asked, house)
        except Unavailable as down:
            raise await refuse_manifest(op, Reason.NOT_VERIFIABLE, down.what, caller, asked, house, down.told) from down
        if permission is Permission.PUSH_LOOK:
            raise _not_there(op)
        if permission is Permission.DENY:
            raise denied(judged, house)
        if _holds(judged, op, house):
            return _serve(op, judged, asked, house)
    raise await _unreadable(op, Reason.NOT_VERIFIABLE, CHANGED, asked, house, CHANGED)


async def _judged(op: PullManifest, asked: Asked, house: House) -> Judged | Answer:
    """Judge. Raises the Fault that refuses what cannot be judged."""
    try:
        return await judge(op, asked, house)
    except Fault as unreadable:
        return await _as_it_is(op, unreadable, asked, house)
    except Corrupt as lie:
        raise await _unreadable(op, Reason.NOT_VERIFIABLE, lie.what, asked, house, lie.told) from lie
    except Unavailable as silent:
        if is_outage(silent):
            raise
        raise await _unreadable(op, Reason.NOT_VERIFIABLE, silent.what, asked, house, silent.told) from silent


async def _as_it_is(op: PullManifest, unreadable: Fault, asked: Asked, house: House) -> Answer:
    """Serve what cannot be read where the policy does not block; raise the Fault that refuses it elsewhere."""
    why: tuple[str | None, str, str] = (reason_of(unreadable), unreadable.message, "")
    try:
        answer = await as_it_is(op, unreadable, asked, house)
        if answer is not None:
            return answer
    except Fault as worse:
        why = (reason_of(worse), worse.message, "")
    except (Unavailable, Corrupt) as silent:
        why = (Reason.NOT_VERIFIABLE, silent.what, silent.told)
    reason, what, told = why
    raise await _unreadable(op, reason, what, asked, house, told) from unreadable


def _holds(judged: Judged, op: PullManifest, house: House) -> bool:
    """True unless a key, a policy or an order changed while this was recorded."""
    try:
        return holds_still(judged.now, op.repository, house)
    except Unavailable:
        return False  # judging it again says why


async def _unreadable(
    op: PullManifest, reason: str | None, what: str, asked: Asked, house: House, told: str = ""
) -> Fault:
    policy = house.rules.current().for_(op.repository)
    look = looks_to_push(op, asked)
    caller = await reader(op.repository, policy if look else None, asked, house, pushing=look)
    refused = await refuse_manifest(op, reason, what, caller, asked, house, told)
    recalled = refused.reason == Reason.DENIED_DIGEST and is_digest(op.reference)
    if look and not recalled and await pushes(op.repository, policy, caller, asked, house):
        return _not_there(op)
    return refused


def _not_there(op: PullManifest) -> Fault:
    """Return what a push is told that looks at a blocked manifest first: it may go on over it."""
    return Fault("MANIFEST_UNKNOWN", f"nothing that may be pulled is at {op.repository} {op.reference}")


async def _caller(op: PullManifest, judged: Judged, asked: Asked, house: House) -> Caller:
    if judged.decision.allowed:  # nothing depends on who it is
        return await house.rights.caller(op.repository, asked.credential, Effort.NOTHING)
    return await reader(op.repository, judged.policy, asked, house, pushing=looks_to_push(op, asked))


async def _permission(op: PullManifest, judged: Judged, caller: Caller, asked: Asked, house: House) -> Permission:
    """Ask upstream whether this caller may push only where the answer changes something."""
    look = not judged.decision.allowed and looks_to_push(op, asked)
    look = look and await pushes(op.repository, judged.policy, caller, asked, house)
    return permit(caller, judged.decision, judged.policy, head=op.head, push_look=look)


async def _record(judged: Judged, permission: Permission, caller: Caller, asked: Asked, house: House) -> None:
    decision = judged.decision
    kind = Kind.PULL_REVIEWED
    if permission is Permission.ALLOWED:
        warned = decision.outcome is not Outcome.PASSED and decision.mode == "warn"
        kind = Kind.PULL_WARNED if warned else Kind.PULL_ALLOWED
        kind = kind if decision.granted is None else Kind.PULL_EXCEPTED
    elif permission is not Permission.REVIEWER:
        kind = Kind.PULL_DENIED
    how = how_of(caller)
    event = Event(
        at=house.clock.now(),
        kind=kind,
        who=name_of(caller),
        how=how,
        repository=decision.question.repository,
        reference=decision.question.reference,
        digest=decision.digest,
        reason=decision.reason or "",
        decision_id=decision.id,
        request_id=asked.request_id,
        policy_revision=decision.policy_revision,
        key_revision=decision.key_revision,
        detail=_detail(permission, decision),
    )
    if kind is Kind.PULL_DENIED:
        await record_refusal(event, decision, caller, asked, house)
    else:
        await house.journal.decided(decision, event)


def _detail(permission: Permission, decision: Decision) -> dict[str, object]:
    if decision.granted is not None:
        return {"exception": decision.granted.id, **({"offline": True} if decision.granted.offline else {})}
    return {"permission": permission.value} if permission is not Permission.ALLOWED else {}


def denied(judged: Judged, house: House) -> Fault:
    """Return the Fault for a decided denial: 403 DENIED, message, reason phrase, page."""
    decision = judged.decision
    page = explain.page_url(house.url, decision.id)
    headers = {"Retry-After": "5"} if decision.outcome is Outcome.INCONCLUSIVE else {}
    return Fault(
        "DENIED",
        explain.message(decision, house.name, house.url),
        reason=decision.reason,
        detail=page,
        phrase=explain.phrase(house.name, decision.reason or Reason.NOT_VERIFIABLE, page),
        headers=headers,
    )


def _serve(op: PullManifest, judged: Judged, asked: Asked, house: House) -> Answer:
    subject, decision = judged.subject, judged.decision
    etag = f'"{subject.digest}"'
    headers: Headers = (
        ("content-type", subject.media_type),
        ("content-length", str(len(subject.body))),
        ("docker-content-digest", subject.digest),
        ("etag", etag),
    )
    warn = decision.outcome is not Outcome.PASSED and decision.mode != "off"
    warning = explain.warning(decision, house.name, house.url) if warn else None
    if _has(subject.digest, asked):
        return Answer(304, tuple(h for h in headers if h[0] != "content-length"), warning=warning)
    return Answer(200, headers, b"" if op.head else subject.body, warning=warning)


def _has(digest: Digest, asked: Asked) -> bool:
    """True when the caller has these bytes: their tag is in If-None-Match, weak or not (RFC 9110 13.1.2), or `*` is.

    Registries also take the digest without quotes, which is no entity tag.
    """
    given = [value for name, value in asked.headers if name == "if-none-match"]
    tags = {each.strip().removeprefix("W/") for each in ",".join(given).split(",")} if given else set()
    return not tags.isdisjoint({f'"{digest}"', digest, "*"})
