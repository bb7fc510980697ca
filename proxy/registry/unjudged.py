"""Serve unjudgeable manifests if the policy does not block: whole, hashed here, with a warning, recorded."""

from __future__ import annotations

import secrets

from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, digest_of, is_digest
from proxy.registry.judging.now import Now, now_in
from proxy.registry.ports.upstream import Effort
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.gate import holder_of
from proxy.registry.reading.read import header
from proxy.registry.reading.resolve import accept_of, relayed_error
from proxy.registry.request import Request, Response
from proxy.trust import explain
from proxy.trust.decision import Decision
from proxy.trust.policy import Policy
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Check, Mode, Outcome

_UNREADABLE = frozenset({Reason.TOO_LARGE, Reason.AMBIGUOUS_MANIFEST, Reason.NOT_JUDGED})


async def as_it_is(op: PullManifest, unreadable: Fault, request: Request, ports: Ports) -> Response | None:
    """Return upstream's bytes in every mode but `enforce`, or its own refusal; None if they are blocked.

    The bytes are read completely, up to `manifest_hard_bytes`, and hashed before the first one is sent. A denied digest
    is blocked in every mode. Raises Corrupt, Unavailable, Fault.
    """
    now = now_in(op.repository, ports)
    if now.policy is None or reason_of(unreadable) not in _UNREADABLE:
        return None
    mode = now.policy.mode_at(now.at)
    if mode == "enforce":
        return None
    headers = tuple(("accept", value) for value in accept_of(request))
    reply = await ports.registry.perform(PullManifest(op.repository, op.reference), request.credential, headers=headers)
    if reply.status != 200:
        return await relayed_error(reply, head=op.head)
    try:
        with ports.cache.kept.room(holder_of(request, ports)) as room:
            length = header(reply, "content-length") or ""
            size = int(length) if length.isascii() and length.isdigit() else None
            limit = ports.limits.manifest_hard_bytes
            body = await room.whole(reply.stream(), size, limit, "manifest", Reason.TOO_LARGE)
    finally:
        await reply.close()
    digest = digest_of(body)
    if is_digest(op.reference) and digest != op.reference:
        raise Corrupt(f"upstream returned bytes of {digest} for {op.reference}")
    if now_in(op.repository, ports).overrides.denial(op.repository, {digest}) is not None:
        raise Fault("DENIED", str(digest), reason=Reason.DENIED_DIGEST)
    ports.rights.confirm_read(op.repository, request.credential)
    kind = header(reply, "content-type") or "application/octet-stream"
    decision = _decision(op, unreadable, digest, kind, now, now.policy, mode)
    await _record(decision, request, ports)
    fields = (("content-type", kind), ("content-length", str(len(body))), ("docker-content-digest", digest))
    warning = explain.warning(decision, ports.name, ports.url) if mode == "warn" else None
    return Response(200, fields, b"" if op.head else body, warning=warning)


def reason_of(unreadable: Fault) -> str | None:
    """Return why a manifest could not be read: for one cut off as too long, only the code says so."""
    return unreadable.reason or (Reason.TOO_LARGE if unreadable.code == "SIZE_INVALID" else None)


def _decision(
    op: PullManifest, unreadable: Fault, digest: Digest, media_type: str, now: Now, policy: Policy, mode: Mode
) -> Decision:
    reason = Reason(reason_of(unreadable) or Reason.NOT_JUDGED)
    return Decision(
        id=secrets.token_urlsafe(12),
        question=Question(op.repository, op.reference),
        digest=digest,
        media_type=media_type,
        outcome=Outcome.FAILED,
        mode=mode,
        reason=reason,
        checks=(Check("readable", Outcome.FAILED, unreadable.message, reason),),
        signatures=(),
        policy_revision=now.policies.revision,
        key_revision=now.ring.revision,
        at=now.at,
        contact=policy.contact,
        help_url=policy.help_url,
    )


async def _record(decision: Decision, request: Request, ports: Ports) -> None:
    caller = await ports.rights.caller(decision.question.repository, request.credential, Effort.NOTHING)
    kind = EventKind.PULL_WARNED if decision.mode == "warn" else EventKind.PULL_ALLOWED
    await ports.journal.decided(decision, ports.event(kind, caller, request, decision=decision))
