"""Delete: where policy and upstream agree; what went is forgotten here, a signature of ours that went is recorded."""

from __future__ import annotations

from proxy.flows.admit import admit_delete
from proxy.flows.asked import Answer, Asked
from proxy.flows.fallback import unlist_referrer
from proxy.flows.house import House
from proxy.flows.immutable import immutable
from proxy.flows.moved import finish_later, told
from proxy.flows.read import examined, read_blob, read_manifest
from proxy.flows.relay import relay
from proxy.flows.sign import SIMPLE
from proxy.flows.tags import held
from proxy.flows.write import exists, unsure
from proxy.formats.carrier import is_artifact_shape
from proxy.formats.format import Layer
from proxy.formats.table import claimed_by
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import DeleteBlob, DeleteManifest
from proxy.oci.reference import Digest, fallback_tag, is_digest, parse_digest, parse_tag, signature_tag, subject_of_tag
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Stage
from proxy.trust.question import how_of, name_of


async def delete_manifest(op: DeleteManifest, asked: Asked, house: House) -> Answer:
    """Relay the deletion; after success nothing remembered here, and no ledger entry, says it is still there.

    Nobody moves the tag or writes the list of signatures meanwhile: what is attached by a push beside it stays known.
    """
    if (login := await admit_delete(op.repository, op.reference, asked, house)) is not None:
        return login  # who may not delete keeps nobody waiting
    digest = await _digest(op, asked, house)
    subject = None if digest is None else await _subject(op, digest, asked, house)
    tags = [] if is_digest(op.reference) else [tag for tag in [parse_tag(op.reference)] if subject_of_tag(tag) is None]
    about = [each for each in (digest, subject) if each is not None]
    async with held(op.repository, tags, house, about=about) as hold:
        if (login := await admit_delete(op.repository, op.reference, asked, house)) is not None:
            return login
        hold.left |= hold.tags  # until upstream has said what became of them
        try:
            async with house.memory.alone(("attach", op.repository, subject or digest)):
                answer = await _deleted(op, digest, subject, asked, hold.house)
            if not unsure(answer.status):
                hold.left.clear()
        finally:
            finish_later(hold, asked, house)
        if answer.status < 300 and digest is not None:
            if subject is not None and is_digest(op.reference):
                await unlist_referrer(op.repository, subject, digest, asked, hold.house)
            caller = await house.rights.caller(op.repository, asked.credential)
            await told(hold.tags, None, (name_of(caller), getattr(caller, "how", "")), hold, house)
            finish_later(hold, asked, house)
    return answer


async def _deleted(
    op: DeleteManifest, digest: Digest | None, subject: Digest | None, asked: Asked, house: House
) -> Answer:
    """Have upstream delete it. Of our signatures, those go that were attached; what waits to be attached still may."""
    carries = subject is not None and digest is not None and await _carries(op, subject, digest, asked, house)
    answer = await relay(op, asked, house)
    if answer.status >= 300 or digest is None:
        return answer
    entries = await house.ledger.entries(op.repository, subject) if subject else ()
    attached = [e for e in entries if e.stage is Stage.ATTACHED]
    lost = [e for e in attached if (carries if e.key.format == SIMPLE else e.artifact == digest)]
    if lost:
        await house.ledger.advance([e.key for e in lost], Stage.REMOVED)
    if subject is not None:
        house.memory.forget((op.repository, subject))
    house.memory.forget((op.repository, digest))
    house.memory.forget_tag(op.repository, op.reference)
    kept = fallback_tag(digest) if is_digest(op.reference) else parse_tag(op.reference)
    house.memory.kept_by_users.pop((op.repository, kept), None)
    if is_digest(op.reference):
        await house.facts.forget(op.repository, digest)
        policy = house.rules.current().for_(op.repository)
        for tag in await house.tags.gone(op.repository, digest, lambda tag: bool(immutable(policy, [tag]))):
            house.memory.forget_tag(op.repository, tag)
    await _record(op, digest, subject if lost else None, len(lost), asked, house)
    return answer


async def _digest(op: DeleteManifest, asked: Asked, house: House) -> Digest | None:
    if is_digest(op.reference):
        return parse_digest(op.reference)
    try:
        there = await exists(op.repository, op.reference, asked, house)
    except Unavailable:
        return None
    return parse_digest(there) if there else None


async def _subject(op: DeleteManifest, digest: Digest, asked: Asked, house: House) -> Digest | None:
    """Return what the manifest refers to: by its tag, by what we know of it, or (a signature) by its content."""
    if not is_digest(op.reference):
        return subject_of_tag(parse_tag(op.reference))
    fact = await house.facts.manifest(op.repository, digest)
    if fact is not None and (fact.subject is not None or fact.artifact is False):
        return fact.subject
    try:
        manifest = await read_manifest(op.repository, digest, asked, house)
        if manifest is None or not is_artifact_shape(manifest):
            return None
        layer = manifest.layers[0]
        form = claimed_by(layer.media_type)
        if form is None:
            return None
        data = await read_blob(op.repository, layer, asked, house)
        return await examined(lambda: form.subject_of(Layer(layer, data)), data, asked, house)
    except (Unavailable, Corrupt, Fault):
        return None


async def _carries(op: DeleteManifest, subject: Digest, digest: Digest, asked: Asked, house: House) -> bool:
    """True when this is the `.sig` list in force, which carries all our simple signatures; an older one has none."""
    tag = signature_tag(subject)
    if not is_digest(op.reference):
        return op.reference == tag
    try:
        return await exists(op.repository, tag, asked, house) == digest
    except Unavailable:
        return True  # what may be gone does not count


async def _record(
    op: DeleteManifest, digest: Digest, subject: Digest | None, lost: int, asked: Asked, house: House
) -> None:
    caller = await house.rights.caller(op.repository, asked.credential)
    await house.journal.record(
        Event(
            at=house.clock.now(),
            kind=Kind.SIGNATURE_REMOVED if subject else Kind.MANIFEST_DELETED,
            who=name_of(caller),
            how=how_of(caller),
            repository=op.repository,
            reference=op.reference,
            digest=subject or digest,
            request_id=asked.request_id,
            detail={"signatures": lost, "manifest": digest, "tag": signature_tag(subject)} if subject else {},
        )
    )


async def delete_blob(op: DeleteBlob, asked: Asked, house: House) -> Answer:
    """Relay the deletion of a blob and record it. A layer that an immutable tag needs stays."""
    if (login := await admit_delete(op.repository, op.digest, asked, house)) is not None:
        return login
    answer = await relay(op, asked, house)
    if answer.status < 300:
        house.memory.blobs.pop((op.repository, op.digest), None)
        caller = await house.rights.caller(op.repository, asked.credential)
        await house.journal.record(
            Event(
                at=house.clock.now(),
                kind=Kind.BLOB_DELETED,
                who=name_of(caller),
                how=how_of(caller),
                repository=op.repository,
                digest=op.digest,
                request_id=asked.request_id,
            )
        )
    return answer
