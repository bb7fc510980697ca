"""Push: signed before acknowledged. No manifest answered with 201 is unsigned; no tag moves to an unsigned one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from proxy.flows.admit import admit, keeps_ours
from proxy.flows.artifact import is_signature_artifact
from proxy.flows.asked import Answer, Asked
from proxy.flows.attach import attach, detach, list_referrer
from proxy.flows.house import House
from proxy.flows.refuse import refuse
from proxy.flows.relay import REPLY_HEADERS
from proxy.flows.resolve import learn, relayed_error
from proxy.flows.sign import SIMPLE, bound_to, sign, wanted
from proxy.flows.write import put_manifest
from proxy.formats.format import claims_at
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor, Kind, parse
from proxy.oci.operation import PushManifest
from proxy.oci.reference import Digest, Reference, Tag, digest_of, fallback_tag, is_digest, parse_tag, subject_of_tag
from proxy.trust import event
from proxy.trust.ledger import Entry
from proxy.trust.policy import Policy
from proxy.trust.question import Caller, Resolved, name_of
from proxy.trust.reason import Reason


@dataclass(frozen=True)
class Push:
    """One admitted push: what, where to, under which policy, by whom."""

    op: PushManifest
    subject: Resolved
    tags: tuple[Tag, ...]
    policy: Policy
    caller: Caller

    @property
    def descriptor(self) -> Descriptor:
        """The pushed manifest as others point at it."""
        return Descriptor(self.subject.media_type, self.subject.digest, len(self.subject.body))


async def push(op: PushManifest, asked: Asked, house: House) -> Answer:
    """Sign what upstream accepted, attach it, then move the tags; return 201, or who said no and what to do."""
    subject = await _read(op, asked, house)
    tags = (*op.tags, *(() if is_digest(op.reference) else (parse_tag(op.reference),)))
    admitted = await admit(op, subject, tags, asked, house)
    if isinstance(admitted, Answer):
        return admitted
    this = Push(op, subject, tags, *admitted)
    try:
        if not this.policy.push.sign_with or await _exempt(this, asked, house):
            answer = await _pass_on(this, asked, house)
        else:
            answer = await _signed(this, asked, house)
        if answer.status >= 400:
            return answer
        if subject.manifest.subject is not None:
            await list_referrer(op.repository, subject.manifest.subject.digest, subject.body, asked, house)
    except (Unavailable, Corrupt) as why:
        raise await _not_signed(this, why.what, asked, house) from why
    for tag in tags:
        house.memory.forget_tag(op.repository, tag)
    house.memory.forget_denials(op.repository)
    await house.journal.record(_event(event.Kind.PUSH_ACCEPTED, this, asked, house))
    return answer


async def _read(op: PushManifest, asked: Asked, house: House) -> Resolved:
    """Return the manifest, wholly read, strictly parsed and hashed. Raises Fault."""
    limit = house.limits.manifest_bytes
    body = bytearray()
    if asked.length is not None and asked.length > limit:
        raise Fault("SIZE_INVALID", f"manifest of {asked.length} bytes; the limit is {limit}", status=413)
    if asked.body is not None:
        async for chunk in asked.body:
            body += chunk
            if len(body) > limit:
                raise Fault("SIZE_INVALID", f"manifest of more than {limit} bytes", status=413, reason=Reason.TOO_LARGE)
    data = bytes(body)
    digest = digest_of(data)
    if is_digest(op.reference) and op.reference != digest:
        raise Fault("DIGEST_INVALID", f"the manifest's digest is {digest}, not {op.reference}")
    limits = house.limits
    if not is_digest(op.reference) and subject_of_tag(parse_tag(op.reference)) is not None:
        limits = replace(limits, index_children=limits.referrers)  # the index of referrers that clients keep
    manifest = parse(data, asked.header("content-type") or "", limits)
    return Resolved(digest, manifest.media_type, data, manifest)


async def _exempt(this: Push, asked: Asked, house: House) -> bool:
    """True for what is a signature itself, and for the index of referrers that clients keep under the fallback tag."""
    if await is_signature_artifact(this.op.repository, this.subject, asked, house):
        return True
    about = [subject_of_tag(tag) for tag in this.tags]
    return (
        bool(about)
        and this.subject.manifest.kind is Kind.INDEX
        and all(
            digest is not None and tag == fallback_tag(digest) for digest, tag in zip(about, this.tags, strict=True)
        )
    )


async def _pass_on(this: Push, asked: Asked, house: House) -> Answer:
    """Hand a manifest that needs no signature upstream; what would lose signatures of ours is refused, not merged."""
    if not await keeps_ours(this.op.repository, this.tags, this.subject.manifest, house):
        raise await _stale(this, asked, house)
    answer = Answer(201)
    for reference in (*([this.op.reference] if is_digest(this.op.reference) else []), *this.tags):
        answer = await _put(this, reference, asked, house)
        if answer.status >= 400:
            return answer
    await learn(this.op.repository, this.subject, house)
    return answer


async def _signed(this: Push, asked: Asked, house: House) -> Answer:
    """By digest first, then the signatures, then each tag: whatever dies, no tag points at an unsigned manifest."""
    if not await keeps_ours(this.op.repository, this.tags, this.subject.manifest, house):
        raise await _stale(this, asked, house)
    answer = await _put(this, this.subject.digest, asked, house)
    if answer.status >= 400:
        return answer
    await learn(this.op.repository, this.subject, house)
    rules = this.policy.push
    claims = claims_at(rules.claims, name_of(this.caller), house.clock.now())
    pairs = wanted(rules.formats, this.op.repository, this.tags, house)
    made = await sign(this.op.repository, this.subject.digest, pairs, rules.sign_with, claims, asked.request_id, house)
    await attach(this.op.repository, this.descriptor, asked, house)
    made += await _sign_children(this, claims, asked, house)
    for tag in this.tags:
        answer = await _put(this, tag, asked, house)
        if answer.status >= 400:
            bound = bound_to(this.op.repository, tag, house)
            await detach(this.op.repository, [e for e in made if e.key.bound == bound], asked, house)
            return answer
    return answer


async def _sign_children(this: Push, claims: dict[str, str], asked: Asked, house: House) -> tuple[Entry, ...]:
    """Bind every child that we signed to the tag too: containers/image looks up only the child it chose (WIRE 1).

    A child we never signed was not pushed through here: its pushers did not ask us, so it stands on its parent alone.
    """
    rules, repository = this.policy.push, this.op.repository
    if not this.tags or SIMPLE not in rules.formats:
        return ()
    made: tuple[Entry, ...] = ()
    pairs = [(SIMPLE, bound_to(repository, tag, house)) for tag in this.tags]
    todo = [(child, 1) for child in this.subject.manifest.children]
    seen: set[Digest] = set()
    while todo:
        child, depth = todo.pop()
        if child.digest in seen:
            continue
        seen.add(child.digest)
        if await house.ledger.entries(repository, child.digest):
            made += await sign(repository, child.digest, pairs, rules.sign_with, claims, asked.request_id, house)
            await attach(repository, child, asked, house)
        fact = await house.facts.manifest(repository, child.digest)
        if fact is not None and depth < house.limits.index_depth:
            todo += [(Descriptor("", digest, 0), depth + 1) for digest in fact.children]
    return made


async def _put(this: Push, reference: Reference, asked: Asked, house: House) -> Answer:
    """Send the pushed bytes upstream under this reference, with the caller's own credentials."""
    subject = this.subject
    reply = await put_manifest(this.op.repository, reference, subject.body, subject.media_type, asked, house)
    if reply.status >= 400:
        return await relayed_error(reply)
    await reply.close()
    kept = {
        "docker-content-digest": subject.digest,
        "location": f"/v2/{this.op.repository}/manifests/{this.op.reference}",
        "content-length": "0",
    }
    if subject.manifest.subject is not None:  # we list it where upstream does not, before this answer leaves
        kept["oci-subject"] = subject.manifest.subject.digest
    extra = [(k, v) for k, v in reply.headers if k in REPLY_HEADERS and k not in {*kept, "content-type"}]
    tags = [("oci-tag", tag) for tag in this.op.tags]
    return Answer(201, (*kept.items(), *tags, *extra))


def _event(kind: event.Kind, this: Push, asked: Asked, house: House, reason: str = "") -> event.Event:
    return event.Event(
        at=house.clock.now(),
        kind=kind,
        who=name_of(this.caller),
        how=getattr(this.caller, "how", ""),
        repository=this.op.repository,
        reference=this.op.reference,
        digest=this.subject.digest,
        reason=reason,
        request_id=asked.request_id,
        policy_revision=house.rules.current().revision,
        key_revision=house.keybook.ring().revision,
        detail={"address": asked.address} if asked.address else {},
    )


async def _not_signed(this: Push, why: str, asked: Asked, house: House) -> Fault:
    return await _refused(this, Reason.NOT_SIGNED, why, asked, house, event.Kind.PUSH_NOT_SIGNED)


async def _stale(this: Push, asked: Asked, house: House) -> Fault:
    """Refuse a list that lacks ours, after putting back what upstream lost: or fetching again helps nobody."""
    repository = this.op.repository
    for about in filter(None, map(subject_of_tag, this.tags)):
        fact = await house.facts.manifest(repository, about)
        if fact is not None:
            await attach(repository, Descriptor(fact.media_type, about, fact.size), asked, house)
    return await _refused(this, Reason.STALE_SIGNATURE_LIST, "it lacks signatures made here", asked, house)


async def _refused(
    this: Push, reason: Reason, what: str, asked: Asked, house: House, kind: event.Kind = event.Kind.PUSH_DENIED
) -> Fault:
    op = this.op
    return await refuse(kind, op.repository, op.reference, reason, what, this.caller, asked, house, pushing=True)
