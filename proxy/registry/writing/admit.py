"""Check whether this caller may push or delete this, here, now, before anything is written."""

from __future__ import annotations

from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.operation import CheckApi, PushManifest
from proxy.oci.reference import (
    Digest,
    Reference,
    Repository,
    is_digest,
    parse_digest,
    parse_tag,
)
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.fresh import require_fresh
from proxy.registry.reading.refuse import refuse
from proxy.registry.reading.resolve import relayed_error
from proxy.registry.request import Request, Response
from proxy.registry.writing.immutable import Kept, immutable, kept_by
from proxy.registry.writing.tags import Held
from proxy.registry.writing.write import exists
from proxy.trust.permit import may_push_by_policy
from proxy.trust.policy import Policy
from proxy.trust.question import NOTHING, Anonymous, Caller, Named, Resolved
from proxy.trust.reason import Reason


async def admit(op: PushManifest, digest: Digest, request: Request, ports: Ports) -> tuple[Policy, Caller] | Response:
    """Return the policy and the caller of an admitted push, or upstream's demand to log in. Raises Fault."""
    caller = await ports.rights.caller(op.repository, request.credential)
    found = await _allowed(op.repository, digest, caller, ports)
    if isinstance(found, Policy):
        return found, caller
    return await _refused(op.repository, op.reference, *found, caller, request, ports)


async def unmoved(
    op: PushManifest, policy: Policy, subject: Resolved, hold: Held, caller: Caller, request: Request, ports: Ports
) -> None:
    """Return if no tag that the policy makes immutable would move. Raises Fault.

    The first digest we recorded for such a tag is final, whatever happened to the tag upstream; if none is recorded
    yet, upstream is asked, and its answer is recorded.
    """
    for tag in immutable(policy, sorted(hold.tags)):
        known, told = hold.fact(tag).digest, ""
        what = f"tag {tag} exists as {known} and the policy makes it immutable"
        if known is None:
            try:
                there = await exists(op.repository, tag, request, ports)
            except Unavailable as silent:
                known = NOTHING
                unknown = f"the policy makes tag {tag} immutable, and where it points is not known"
                what, told = f"{unknown}: {silent.what}", f"{unknown} ({silent.told})"
            else:
                known = None if there is None else parse_digest(there)
                what = f"tag {tag} exists as {known} upstream and the policy makes it immutable"
                if known is not None:
                    hold.points(tag, known, "", "upstream")
        if known not in (None, subject.digest):
            raise await refuse(
                EventKind.PUSH_DENIED, op.repository, op.reference, Reason.TAG_IMMUTABLE, what, caller, request, ports,
                pushing=True, told=told,
            )  # fmt: skip


async def still_admitted(op: PushManifest, digest: Digest, caller: Caller, request: Request, ports: Ports) -> Policy:
    """Return the current policy for a push that was admitted before. Raises Fault if it may not continue.

    Called before every step that cannot be undone: a digest denied meanwhile is neither signed nor attached nor tagged.
    Raises Unavailable if the denials and keys known here may be out of date.
    """
    require_fresh(ports)
    found = await _allowed(op.repository, digest, caller, ports)
    if isinstance(found, Policy):
        return found
    raise await refuse(EventKind.PUSH_DENIED, op.repository, op.reference, *found, caller, request, ports, pushing=True)


async def _allowed(repository: Repository, digest: Digest, caller: Caller, ports: Ports) -> Policy | tuple[Reason, str]:
    """Return the policy under which this caller may push this digest now, else the reason for refusal."""
    if (denial := await denied(repository, digest, ports)) is not None:
        return Reason.DENIED_DIGEST, f"an operator denied {denial.target}: {denial.reason}"
    policy = ports.rules.current().for_(repository)
    if policy is not None and may_push_by_policy(caller, policy):
        return policy
    return _not_allowed(repository, policy)


async def admit_delete(repository: Repository, reference: Reference, request: Request, ports: Ports) -> Response | None:
    """Return None if policy lets this caller delete this here, or upstream's demand to log in. Raises Fault.

    A caller who may not push may not delete. An immutable tag, and everything it needs, may not be deleted: it could
    come back with other content.
    """
    caller = await ports.rights.caller(repository, request.credential)
    policy = ports.rules.current().for_(repository)
    reason, what = _not_allowed(repository, policy)
    kept: Kept | None = None
    if policy is not None and may_push_by_policy(caller, policy):
        if is_digest(reference):
            kept = await kept_by(repository, parse_digest(reference), policy, request, ports)
        else:
            named = immutable(policy, [parse_tag(reference)])
            text = f"the policy makes tag {named[0]} immutable" if named else ""
            kept = Kept(text, text) if named else None
        if kept is None:
            return None
        reason, what = Reason.TAG_IMMUTABLE, f"{kept.what}: it may not be deleted"
    return await _refused(repository, reference, reason, what, caller, request, ports, kept)


async def _refused(
    repository: Repository,
    reference: Reference,
    reason: Reason,
    what: str,
    caller: Caller,
    request: Request,
    ports: Ports,
    kept: Kept | None = None,
) -> Response:
    """Return upstream's demand to log in if it has not admitted the caller; refuse all others. Raises Fault.

    `kept`: why it may not be deleted.
    """
    if not isinstance(caller, Named) and not ports.rights.knows(repository, request.credential):
        login = await ask_to_log_in(request, ports)
        if login is not None:
            return login
    told = "" if kept is None else f"{kept.told}: it may not be deleted"
    raise await refuse(
        EventKind.PUSH_DENIED, repository, reference, reason, what, caller, request, ports,
        pushing=True, told=told, kept="" if kept is None else kept.told,
    )  # fmt: skip


async def admit_upload(repository: Repository, about: Digest | None, request: Request, ports: Ports) -> None:
    """Return if policy lets this caller push, or if upstream itself will refuse. Raises Fault.

    A caller who will not be allowed to push is told at the first byte, while the refusal has a readable text: docker
    shows nothing of the refusal of a HEAD, which would come next.
    """
    policy = ports.rules.current().for_(repository)
    denial = ports.overrides.in_force().denial(repository, ())
    if denial is None and policy is not None and "*" in policy.push.allow:
        return
    caller = await ports.rights.caller(repository, request.credential)
    if denial is None and policy is not None and may_push_by_policy(caller, policy):
        return
    if isinstance(caller, Anonymous) and not await _upstream_takes(repository, request, ports):
        return  # most of them have not logged in yet, and upstream's answer asks them to
    reason, what = _not_allowed(repository, policy)
    if denial is not None:
        reason, what = Reason.DENIED_DIGEST, f"an operator denied {denial.target}: {denial.reason}"
    raise await refuse(
        EventKind.PUSH_DENIED, repository, about or NOTHING, reason, what, caller, request, ports, pushing=True
    )


async def _upstream_takes(repository: Repository, request: Request, ports: Ports) -> bool:
    try:
        return await ports.rights.may_push(repository, request.credential)
    except Unavailable:
        return True  # a demand to log in might not help


def _not_allowed(repository: Repository, policy: Policy | None) -> tuple[Reason, str]:
    if policy is None:
        return Reason.NO_POLICY, f"no policy matches repository {repository}"
    return Reason.PUSH_NOT_ALLOWED, f"push.allow lists {', '.join(policy.push.allow) or 'nobody'}"


async def ask_to_log_in(request: Request, ports: Ports) -> Response | None:
    """Return upstream's demand to log in (again), or None if it makes none."""
    try:
        reply = await ports.registry.perform(CheckApi(), request.credential)
    except Unavailable:
        return None
    if reply.status == 401:
        return await relayed_error(reply)
    await reply.close()
    return None
