"""Push: sign before acknowledging. No manifest answered with 201 is unsigned; no tag moves to an unsigned manifest."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from proxy.journal import event
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.manifest import parse
from proxy.oci.operation import PushManifest
from proxy.oci.reference import Tag, digest_of, is_digest, parse_tag, require_sha256, subject_of_tag
from proxy.registry.bodies import Room
from proxy.registry.ports.upstream import Effort
from proxy.registry.ports_in_use import Ports
from proxy.registry.pushed_list import left_out, may_lie_there, put_list, too_large
from proxy.registry.put import put, refused
from proxy.registry.reading.artifact import needs_no_signature
from proxy.registry.reading.fresh import require_fresh
from proxy.registry.reading.gate import holder_of, turned_away
from proxy.registry.reading.read import all_ended, examined
from proxy.registry.reading.refuse import record_refusal
from proxy.registry.reading.resolve import learn
from proxy.registry.request import Request, Response
from proxy.registry.signing.ready import Push, lists_of, ready
from proxy.registry.signing.retag import bind, finish_later, record_move
from proxy.registry.signing.sign import failover_warning
from proxy.registry.signing.unsigned import record_unsigned
from proxy.registry.writing.admit import admit, ask_to_log_in, still_admitted, unmoved
from proxy.registry.writing.fallback_tag import TooMuch, list_referrer
from proxy.registry.writing.tags import Held, held
from proxy.registry.writing.write import cancel_opened, unsure
from proxy.trust import explain
from proxy.trust.question import Caller, Resolved, name_of
from proxy.trust.reason import Reason


async def push(op: PushManifest, request: Request, ports: Ports) -> Response:
    """Sign what upstream accepted, move the tags, attach the signatures; return 201, or a refusal with its next step.

    Upstream admits the caller before a byte of the manifest is read.
    """
    refusal = await turned_away(op.repository, request, ports)
    if refusal is not None:
        return refusal
    with ports.cache.kept.room(holder_of(request, ports)) as room:
        answer = await _push(op, room, request, ports)
    if answer.status in (401, 403):
        ports.rights.refused(request.credential)
    return answer


async def _push(op: PushManifest, room: Room, request: Request, ports: Ports) -> Response:
    tags = tuple(dict.fromkeys((*op.tags, *(() if is_digest(op.reference) else (parse_tag(op.reference),)))))
    try:
        subject = await _read(op, room, request, ports)
    except Fault as unreadable:
        caller = await ports.rights.caller(op.repository, request.credential, Effort.NOTHING)
        refused = _event(event.EventKind.PUSH_DENIED, op, caller, request, ports, fault=unreadable)
        await record_refusal(refused, None, caller, request, ports)
        raise
    admitted = await admit(op, subject.digest, request, ports)
    if isinstance(admitted, Response):
        return admitted
    named = [tag for tag in tags if subject_of_tag(tag) is None]  # lists of signatures have their own lock
    async with AsyncExitStack() as inside:
        try:
            about = [] if ports.tags.sole else await lists_of(op, subject, tags, ports)
            holding = held(op.repository, named, ports, moving_to=subject.digest, about=about)
            hold = await inside.enter_async_context(holding)
            inside.enter_context(ports.cache.pushes.under_way((op.repository, subject.digest)))
        except Unavailable as why:
            nothing = Push(op, subject, tags, *admitted, Held(op.repository, ports))
            raise await _not_signed(nothing, why, request, ports) from why
        this = Push(op, subject, tags, *admitted, hold)
        try:
            answer = await _pushed(this, request, hold.ports)
            by = name_of(this.caller), getattr(this.caller, "how", "")
            accepted = _event(event.EventKind.PUSH_ACCEPTED, op, this.caller, request, ports, digest=subject.digest)
            accepted = accepted._replace(detail={**accepted.detail, **this.merged})
            events = [accepted] if answer.status < 400 else []
            await record_move(this.moved, subject.digest, by, hold, ports, *events, records=this.records)
        finally:
            ports.cache.later(cancel_opened(request, ports))
            with suppress(Unavailable):  # what was attached before the push failed
                await this.records.make(ports)
            finish_later(hold, request, ports)
    if answer.status < 400:
        ports.cache.forget_denials(op.repository)
    return answer


async def _pushed(this: Push, request: Request, ports: Ports) -> Response:
    """Carry out the admitted push, without a signature only under an exception that allows it. Raises Fault."""
    await unmoved(this.op, this.policy, this.subject, this.hold, this.caller, request, ports)
    try:
        await may_lie_there(this, request, ports)
        require_fresh(ports)
        return await (_pass_on if await _unsigned(this, request, ports) else _signed)(this, request, ports)
    except (Unavailable, Corrupt) as why:
        login = await ask_to_log_in(request, ports)
        if login is not None:
            return login
        return await _excepted(this, why, request, ports)


async def _excepted(this: Push, why: Unavailable | Corrupt, request: Request, ports: Ports) -> Response:
    """Accept an unsigned push under an exception, after the owed signature is on record; otherwise refuse it."""
    repository, subject, signers = this.op.repository, this.subject, this.policy.push.sign_with
    try:
        require_fresh(ports)
        opened = await record_unsigned(
            repository, subject.digest, this.tags, signers, why.what, this.caller, request, ports
        )
        if opened is not None:
            answer = await _pass_on(this, request, ports)
            left = f"not signed; let through by {explain.granted(opened.grants())}; it is signed when that works again"
            return replace(answer, warning=f"{ports.name}: {repository}@{subject.digest[:19]}... was {left}")
    except (Unavailable, Corrupt) as again:
        why = again
    raise await _not_signed(this, why, request, ports) from why


async def _read(op: PushManifest, room: Room, request: Request, ports: Ports) -> Resolved:
    """Return the manifest, read to the end, strictly parsed and hashed. Raises Fault."""
    data = await room.whole(request.body, request.length, ports.limits.manifest_bytes, "manifest", Reason.TOO_LARGE)
    digest = digest_of(data)
    if is_digest(op.reference) and op.reference != digest:
        raise Fault("DIGEST_INVALID", f"the manifest's digest is {digest}, not {op.reference}")
    limits = ports.limits
    if not is_digest(op.reference) and subject_of_tag(parse_tag(op.reference)) is not None:
        limits = replace(limits, index_children=limits.referrers)  # the index of referrers that clients maintain
    kind = request.header("content-type") or ""
    manifest = await examined(lambda: parse(data, kind, limits), data, request, ports)
    for descriptor in (*manifest.children, *([manifest.subject] if manifest.subject else [])):
        require_sha256(descriptor.digest, "it refers to a manifest by another digest")
    return Resolved(digest, manifest.media_type, data, manifest)


async def _unsigned(this: Push, request: Request, ports: Ports) -> bool:
    """True for a manifest that needs no signature: by policy, or because of its kind."""
    if not this.policy.push.sign_with:
        return True
    return await needs_no_signature(this.op.repository, this.subject, this.tags, request, ports)


async def _pass_on(this: Push, request: Request, ports: Ports) -> Response:
    """Pass a manifest that needs no signature upstream. Refuse, rather than merge, if our signatures would be lost."""
    answer = Response(201)
    if is_digest(this.op.reference):
        answer = await put(this, this.op.reference, request, ports)
    for tag in this.tags:
        if answer.status < 400:
            now = await still_admitted(this.op, this.subject.digest, this.caller, request, ports)
            if now.push.sign_with and not this.policy.push.sign_with:
                raise Unavailable("its policy asks for signatures since this push began")
            answer = await _move(this, tag, request, ports)
    if answer.status < 400:
        await learn(this.op.repository, this.subject, ports)
        await _list(this, request, ports)
    return answer


async def _signed(this: Push, request: Request, ports: Ports) -> Response:
    """Push by digest, sign, move each tag, and only then attach the signatures that name a moved tag.

    If the process dies at any step, no tag points at an unsigned manifest, and no signature names a tag that did not
    move.
    """
    answer = await put(this, this.subject.digest, request, ports)
    if answer.status >= 400:
        return answer
    signed = await ready(this, None, request, ports)
    await _list(this, request, ports)
    for tag in this.tags:
        signed = await ready(this, signed, request, ports)
        answer, _ = await all_ended(_move(this, tag, request, ports), this.records.make(ports))
        if answer.status >= 400:
            break
    if this.moved:
        signed = await ready(this, signed, request, ports)
        await bind(this.op.repository, this.descriptor, this.moved, request, ports, this.records)
    return answer if answer.status >= 400 else replace(answer, warning=failover_warning(signed.made, ports))


async def _move(this: Push, tag: Tag, request: Request, ports: Ports) -> Response:
    """Put the manifest under a tag. Raises Fault if that would remove our signatures from a list of signatures."""
    about = subject_of_tag(tag)
    await this.hold.trying(tag)
    answer = await (put(this, tag, request, ports) if about is None else put_list(this, tag, about, request, ports))
    if answer.status >= 400 and not unsure(answer.status):
        this.hold.refused(tag)
    elif answer.status < 400 and tag not in this.moved and tag not in this.under_others:
        this.moved.append(tag)
    return answer


async def _list(this: Push, request: Request, ports: Ports) -> None:
    """List a manifest with a subject where clients look for it, before any client is told that upstream lists it."""
    about = this.subject.manifest.subject
    if about is not None and not await left_out(this, about.digest, request, ports):
        try:
            await list_referrer(this.op.repository, about.digest, this.subject.body, request, ports)
        except TooMuch as much:
            raise await too_large(this, str(much), request, ports) from much


def _event(
    kind: event.EventKind,
    op: PushManifest,
    caller: Caller,
    request: Request,
    ports: Ports,
    *,
    digest: str = "",
    fault: Fault | None = None,
) -> event.Event:
    detail = {"address": request.address} if request.address else {}
    if fault is not None:
        detail |= {"code": fault.code, "what": fault.message}
    reason = (fault.reason or "") if fault else ""
    about = (op.repository, op.reference, digest)
    return ports.event(kind, caller, request, about=about, reason=reason, detail=detail)


async def _not_signed(this: Push, why: Unavailable | Corrupt, request: Request, ports: Ports) -> Fault:
    told = Told.SIGNING if why.told is Told.NOTHING else why.told
    return await refused(this, Reason.NOT_SIGNED, why.what, request, ports, event.EventKind.PUSH_NOT_SIGNED, told)
