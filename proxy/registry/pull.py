"""Pull: judge, record, answer. An exception on the way means that nothing is served."""

from __future__ import annotations

from proxy.journal.event import FROM, EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, is_digest
from proxy.registry.judging.judge import Judged, judge
from proxy.registry.judging.now import AGAIN, CHANGED, holds_still
from proxy.registry.ports.upstream import Effort, Headers
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.gate import looks_to_push, pushes, reader
from proxy.registry.reading.refuse import is_outage, record_refusal, refuse_manifest
from proxy.registry.request import Request, Response
from proxy.registry.unjudged import as_it_is, reason_of
from proxy.trust import explain
from proxy.trust.decision import Decision
from proxy.trust.permit import PullPermission, permit
from proxy.trust.question import Anonymous, Caller
from proxy.trust.reason import Reason
from proxy.trust.requirement import Outcome


async def pull(op: PullManifest, request: Request, ports: Ports) -> Response:
    """Return exactly the bytes that were judged, or raise the Fault that says who blocked them, why and what to do."""
    for _ in range(AGAIN):
        judged = await _judged(op, request, ports)
        if isinstance(judged, Response):
            return judged
        caller = await _caller(op, judged, request, ports)
        permission = await _permission(op, judged, caller, request, ports)
        try:
            await _record(judged, permission, caller, request, ports)
        except Unavailable as down:
            raise await refuse_manifest(
                op, Reason.NOT_VERIFIABLE, down.what, caller, request, ports, down.told
            ) from down
        if permission is PullPermission.PUSH_LOOK:
            raise _not_there(op)
        if permission is PullPermission.DENY:
            raise denied(judged, ports)
        if _holds(judged, op, ports):
            return _serve(op, judged, request, ports)
    raise await _unreadable(op, Reason.NOT_VERIFIABLE, CHANGED, request, ports, CHANGED)


async def _judged(op: PullManifest, request: Request, ports: Ports) -> Judged | Response:
    """Return the judgement. Raises the Fault that refuses a manifest which cannot be judged."""
    try:
        return await judge(op, request, ports)
    except Fault as unreadable:
        return await _as_it_is(op, unreadable, request, ports)
    except Corrupt as lie:
        raise await _unreadable(op, Reason.NOT_VERIFIABLE, lie.what, request, ports, lie.told) from lie
    except Unavailable as silent:
        if is_outage(silent):
            raise
        raise await _unreadable(op, Reason.NOT_VERIFIABLE, silent.what, request, ports, silent.told) from silent


async def _as_it_is(op: PullManifest, unreadable: Fault, request: Request, ports: Ports) -> Response:
    """Serve an unreadable manifest where the policy does not block; raise the Fault that refuses it elsewhere."""
    why: tuple[str | None, str, str] = (reason_of(unreadable), unreadable.message, "")
    try:
        answer = await as_it_is(op, unreadable, request, ports)
        if answer is not None:
            return answer
    except Fault as worse:
        why = (reason_of(worse), worse.message, "")
    except (Unavailable, Corrupt) as silent:
        why = (Reason.NOT_VERIFIABLE, silent.what, silent.told)
    reason, what, told = why
    raise await _unreadable(op, reason, what, request, ports, told) from unreadable


def _holds(judged: Judged, op: PullManifest, ports: Ports) -> bool:
    """True unless a key, a policy or an override changed while the pull was recorded."""
    try:
        return holds_still(judged.now, op.repository, ports)
    except Unavailable:
        return False  # judging the manifest again reports why


async def _unreadable(
    op: PullManifest, reason: str | None, what: str, request: Request, ports: Ports, told: str = ""
) -> Fault:
    policy = ports.rules.current().for_(op.repository)
    look = looks_to_push(op, request)
    caller = await reader(op.repository, policy if look else None, request, ports, pushing=look)
    refused = await refuse_manifest(op, reason, what, caller, request, ports, told)
    recalled = refused.reason == Reason.DENIED_DIGEST and is_digest(op.reference)
    if look and not recalled and await pushes(op.repository, policy, caller, request, ports):
        return _not_there(op)
    return refused


def _not_there(op: PullManifest) -> Fault:
    """Return the 404 for a push that checks a blocked manifest first: the push may go on and replace it."""
    return Fault("MANIFEST_UNKNOWN", f"nothing that may be pulled is at {op.repository} {op.reference}")


async def _caller(op: PullManifest, judged: Judged, request: Request, ports: Ports) -> Caller:
    if judged.decision.allowed:  # the caller's name changes nothing
        return await ports.rights.caller(op.repository, request.credential, Effort.NOTHING)
    return await reader(op.repository, judged.policy, request, ports, pushing=looks_to_push(op, request))


async def _permission(
    op: PullManifest, judged: Judged, caller: Caller, request: Request, ports: Ports
) -> PullPermission:
    """Return the caller's permission. Upstream is asked about the right to push only if that changes the result."""
    look = not judged.decision.allowed and looks_to_push(op, request)
    look = look and await pushes(op.repository, judged.policy, caller, request, ports)
    return permit(caller, judged.decision, judged.policy, head=op.head, push_look=look)


async def _record(judged: Judged, permission: PullPermission, caller: Caller, request: Request, ports: Ports) -> None:
    decision = judged.decision
    kind = EventKind.PULL_REVIEWED
    if permission is PullPermission.ALLOWED:
        warned = decision.outcome is not Outcome.PASSED and decision.mode == "warn"
        kind = EventKind.PULL_WARNED if warned else EventKind.PULL_ALLOWED
        kind = kind if decision.granted is None else EventKind.PULL_EXCEPTED
    elif permission is not PullPermission.REVIEWER:
        kind = EventKind.PULL_DENIED
    detail = _detail(permission, decision, caller, request)
    event = ports.event(kind, caller, request, decision=decision, detail=detail)
    if kind is EventKind.PULL_DENIED:
        await record_refusal(event, decision, caller, request, ports)
    else:
        await ports.journal.decided(decision, event)


def _detail(permission: PullPermission, decision: Decision, caller: Caller, request: Request) -> dict[str, object]:
    unnamed: dict[str, object] = {FROM: request.address} if request.address and isinstance(caller, Anonymous) else {}
    if decision.granted is not None:
        return {"exception": decision.granted.id, **({"offline": True} if decision.granted.offline else {}), **unnamed}
    return {"permission": permission.value, **unnamed} if permission is not PullPermission.ALLOWED else unnamed


def denied(judged: Judged, ports: Ports) -> Fault:
    """Return the Fault for a denial: 403 DENIED with message, reason phrase and page."""
    decision = judged.decision
    page = explain.page_url(ports.url, decision.id)
    headers = {"Retry-After": "5"} if decision.outcome is Outcome.INCONCLUSIVE else {}
    return Fault(
        "DENIED",
        explain.message(decision, ports.name, ports.url),
        reason=decision.reason,
        phrase=explain.phrase(ports.name, decision.reason or Reason.NOT_VERIFIABLE, page),
        headers=headers,
    )


def _serve(op: PullManifest, judged: Judged, request: Request, ports: Ports) -> Response:
    subject, decision = judged.subject, judged.decision
    etag = f'"{subject.digest}"'
    headers: Headers = (
        ("content-type", subject.media_type),
        ("content-length", str(len(subject.body))),
        ("docker-content-digest", subject.digest),
        ("etag", etag),
    )
    warn = decision.outcome is not Outcome.PASSED and decision.mode in ("warn", "enforce")
    warning = explain.warning(decision, ports.name, ports.url) if warn else None
    if _has(subject.digest, request):
        return Response(304, tuple(h for h in headers if h[0] != "content-length"), warning=warning)
    return Response(200, headers, b"" if op.head else subject.body, warning=warning)


def _has(digest: Digest, request: Request) -> bool:
    """True when the caller already has these bytes: If-None-Match holds their entity tag, weak or not, or `*`.

    See RFC 9110 13.1.2. Registries also accept the digest without quotes, which is not an entity tag.
    """
    given = [value for name, value in request.headers if name == "if-none-match"]
    tags = {each.strip().removeprefix("W/") for each in ",".join(given).split(",")} if given else set()
    return not tags.isdisjoint({f'"{digest}"', digest, "*"})
