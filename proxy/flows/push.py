"""Push: signed before acknowledged. No manifest answered with 201 is unsigned; no tag moves to an unsigned one."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace

from proxy.flows.admit import admit, ask_to_log_in, still_admitted, unmoved
from proxy.flows.artifact import needs_no_signature
from proxy.flows.asked import Answer, Asked
from proxy.flows.fallback import TooMuch, list_referrer
from proxy.flows.fresh import require_fresh
from proxy.flows.gate import holder_of, turned_away
from proxy.flows.house import House
from proxy.flows.kept import Room
from proxy.flows.moved import bind, finish_later, told
from proxy.flows.pushed_list import left_out, may_lie_there, put_list, too_large
from proxy.flows.put import put, refused
from proxy.flows.read import examined
from proxy.flows.ready import Push, lists_of, ready
from proxy.flows.resolve import learn
from proxy.flows.rows import record_refusal
from proxy.flows.sign import stood_in
from proxy.flows.tags import Held, held
from proxy.flows.unsigned import owe
from proxy.flows.write import unsure
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.manifest import parse
from proxy.oci.operation import PushManifest
from proxy.oci.reference import Tag, digest_of, is_digest, parse_tag, require_sha256, subject_of_tag
from proxy.ports import Effort
from proxy.trust import event, explain
from proxy.trust.question import Caller, Resolved, how_of, name_of
from proxy.trust.reason import Reason


async def push(op: PushManifest, asked: Asked, house: House) -> Answer:
    """Sign what upstream accepted, move the tags, attach; return 201, or who said no and what to do.

    Upstream lets the caller in before a byte of the manifest is read.
    """
    refusal = await turned_away(op.repository, asked, house)
    if refusal is not None:
        return refusal
    with house.memory.kept.room(holder_of(asked, house)) as room:
        answer = await _push(op, room, asked, house)
    if answer.status in (401, 403):
        house.rights.refused(asked.credential)
    return answer


async def _push(op: PushManifest, room: Room, asked: Asked, house: House) -> Answer:
    tags = tuple(dict.fromkeys((*op.tags, *(() if is_digest(op.reference) else (parse_tag(op.reference),)))))
    try:
        subject = await _read(op, room, asked, house)
    except Fault as unreadable:
        caller = await house.rights.caller(op.repository, asked.credential, Effort.NOTHING)
        refused = _event(event.Kind.PUSH_DENIED, op, caller, asked, house, fault=unreadable)
        await record_refusal(refused, None, caller, asked, house)
        raise
    admitted = await admit(op, subject.digest, asked, house)
    if isinstance(admitted, Answer):
        return admitted
    named = [tag for tag in tags if subject_of_tag(tag) is None]  # lists of signatures have a lock of their own
    async with AsyncExitStack() as inside:
        try:
            about = [] if house.tags.sole else await lists_of(op, subject, tags, house)
            holding = held(op.repository, named, house, moving_to=subject.digest, about=about)
            hold = await inside.enter_async_context(holding)
            inside.enter_context(house.memory.pushes.under_way((op.repository, subject.digest)))
        except Unavailable as why:
            nothing = Push(op, subject, tags, *admitted, Held(op.repository, house))
            raise await _not_signed(nothing, why, asked, house) from why
        this = Push(op, subject, tags, *admitted, hold)
        try:
            answer = await _pushed(this, asked, hold.house)
            by = name_of(this.caller), getattr(this.caller, "how", "")
            accepted = _event(event.Kind.PUSH_ACCEPTED, op, this.caller, asked, house, digest=subject.digest)
            accepted = accepted._replace(detail={**accepted.detail, **this.merged})
            await told(this.moved, subject.digest, by, hold, house, *([accepted] if answer.status < 400 else []))
        finally:
            finish_later(hold, asked, house)
    if answer.status < 400:
        house.memory.forget_denials(op.repository)
    return answer


async def _pushed(this: Push, asked: Asked, house: House) -> Answer:
    """Do what was admitted; without a signature where an exception says so. Raises Fault."""
    await unmoved(this.op, this.policy, this.subject, this.hold, this.caller, asked, house)
    try:
        await may_lie_there(this, asked, house)
        require_fresh(house)
        return await (_pass_on if await _unsigned(this, asked, house) else _signed)(this, asked, house)
    except (Unavailable, Corrupt) as why:
        login = await ask_to_log_in(asked, house)
        if login is not None:
            return login
        return await _excepted(this, why, asked, house)


async def _excepted(this: Push, why: Unavailable | Corrupt, asked: Asked, house: House) -> Answer:
    """Accept without a signature what an exception says, once it is on record that one is owed; else refuse it."""
    repository, subject, signers = this.op.repository, this.subject, this.policy.push.sign_with
    try:
        require_fresh(house)
        opened = await owe(repository, subject.digest, this.tags, signers, why.what, this.caller, asked, house)
        if opened is not None:
            answer = await _pass_on(this, asked, house)
            left = f"not signed; let through by {explain.granted(opened.grants())}; it is signed when that works again"
            return replace(answer, warning=f"{house.name}: {repository}@{subject.digest[:19]}... was {left}")
    except (Unavailable, Corrupt) as again:
        why = again
    raise await _not_signed(this, why, asked, house) from why


async def _read(op: PushManifest, room: Room, asked: Asked, house: House) -> Resolved:
    """Return the manifest, wholly read, strictly parsed and hashed. Raises Fault."""
    data = await room.whole(asked.body, asked.length, house.limits.manifest_bytes, "manifest", Reason.TOO_LARGE)
    digest = digest_of(data)
    if is_digest(op.reference) and op.reference != digest:
        raise Fault("DIGEST_INVALID", f"the manifest's digest is {digest}, not {op.reference}")
    limits = house.limits
    if not is_digest(op.reference) and subject_of_tag(parse_tag(op.reference)) is not None:
        limits = replace(limits, index_children=limits.referrers)  # the index of referrers that clients keep
    kind = asked.header("content-type") or ""
    manifest = await examined(lambda: parse(data, kind, limits), data, asked, house)
    for descriptor in (*manifest.children, *([manifest.subject] if manifest.subject else [])):
        require_sha256(descriptor.digest, "it refers to a manifest by another digest")
    return Resolved(digest, manifest.media_type, data, manifest)


async def _unsigned(this: Push, asked: Asked, house: House) -> bool:
    """True for what needs no signature: by policy, or by what it is."""
    if not this.policy.push.sign_with:
        return True
    return await needs_no_signature(this.op.repository, this.subject, this.tags, asked, house)


async def _pass_on(this: Push, asked: Asked, house: House) -> Answer:
    """Hand a manifest that needs no signature upstream; what would lose signatures of ours is refused, not merged."""
    answer = Answer(201)
    if is_digest(this.op.reference):
        answer = await put(this, this.op.reference, asked, house)
    for tag in this.tags:
        if answer.status < 400:
            now = await still_admitted(this.op, this.subject.digest, this.caller, asked, house)
            if now.push.sign_with and not this.policy.push.sign_with:
                raise Unavailable("its policy asks for signatures since this push began")
            answer = await _move(this, tag, asked, house)
    if answer.status < 400:
        await learn(this.op.repository, this.subject, house)
        await _list(this, asked, house)
    return answer


async def _signed(this: Push, asked: Asked, house: House) -> Answer:
    """By digest first, then signed; then each tag moves, and only then is attached what names it.

    Whatever dies, no tag points at an unsigned manifest, and no signature names a tag that did not move.
    """
    answer = await put(this, this.subject.digest, asked, house)
    if answer.status >= 400:
        return answer
    signed = await ready(this, None, asked, house)
    await _list(this, asked, house)
    for tag in this.tags:
        signed = await ready(this, signed, asked, house)
        answer = await _move(this, tag, asked, house)
        if answer.status >= 400:
            break
    if this.moved:
        signed = await ready(this, signed, asked, house)
        await bind(this.op.repository, this.descriptor, this.moved, asked, house)
    return answer if answer.status >= 400 else replace(answer, warning=stood_in(signed.made, house))


async def _move(this: Push, tag: Tag, asked: Asked, house: House) -> Answer:
    """Put the manifest under a tag. Raises Fault where that would take signatures of ours off a list of signatures."""
    about = subject_of_tag(tag)
    await this.hold.trying(tag)
    answer = await (put(this, tag, asked, house) if about is None else put_list(this, tag, about, asked, house))
    if answer.status >= 400 and not unsure(answer.status):
        this.hold.refused(tag)
    elif answer.status < 400 and tag not in this.moved and tag not in this.under_others:
        this.moved.append(tag)
    return answer


async def _list(this: Push, asked: Asked, house: House) -> None:
    """List what has a subject where clients look for it, before anybody is told that they need not."""
    about = this.subject.manifest.subject
    if about is not None and not await left_out(this, about.digest, asked, house):
        try:
            await list_referrer(this.op.repository, about.digest, this.subject.body, asked, house)
        except TooMuch as much:
            raise await too_large(this, str(much), asked, house) from much


def _event(
    kind: event.Kind,
    op: PushManifest,
    caller: Caller,
    asked: Asked,
    house: House,
    *,
    digest: str = "",
    fault: Fault | None = None,
) -> event.Event:
    detail = {"address": asked.address} if asked.address else {}
    if fault is not None:
        detail |= {"code": fault.code, "what": fault.message[:500]}
    return event.Event(
        at=house.clock.now(),
        kind=kind,
        who=name_of(caller),
        how=how_of(caller),
        repository=op.repository,
        reference=op.reference,
        digest=digest,
        reason=(fault.reason or "") if fault else "",
        request_id=asked.request_id,
        policy_revision=house.rules.current().revision,
        key_revision=house.keybook.ring().revision,
        detail=detail,
    )


async def _not_signed(this: Push, why: Unavailable | Corrupt, asked: Asked, house: House) -> Fault:
    told = Told.SIGNING if why.told is Told.NOTHING else why.told
    return await refused(this, Reason.NOT_SIGNED, why.what, asked, house, event.Kind.PUSH_NOT_SIGNED, told)
