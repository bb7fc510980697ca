"""Delete: upstream decides; what it removed is forgotten here, and a signature of ours that went is on the record."""

from __future__ import annotations

from proxy.flows.asked import Answer, Asked
from proxy.flows.attach import unlist_referrer
from proxy.flows.house import House
from proxy.flows.relay import relay
from proxy.flows.sign import SIMPLE
from proxy.flows.write import exists
from proxy.oci.faults import Unavailable
from proxy.oci.operation import DeleteBlob, DeleteManifest
from proxy.oci.reference import Digest, Repository, is_digest, parse_digest, signature_tag, subject_of_tag
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Entry, Stage
from proxy.trust.question import name_of


async def delete_manifest(op: DeleteManifest, asked: Asked, house: House) -> Answer:
    """Relay the deletion; after success nothing remembered here, and no ledger entry, says it is still there."""
    digest = await _digest(op, asked, house)
    fact = await house.facts.manifest(op.repository, digest) if digest else None
    tagged = None if is_digest(op.reference) else subject_of_tag(op.reference)  # type: ignore[arg-type]
    subject = tagged or (fact.subject if fact else None)
    answer = await relay(op, asked, house)
    if answer.status >= 300 or digest is None:
        return answer
    lost = await _lost(op.repository, subject, digest, house) if subject else []
    if lost:
        await house.ledger.advance([e.key for e in lost], Stage.REMOVED)
    if subject is not None:
        house.memory.forget((op.repository, subject))
        if is_digest(op.reference):
            await unlist_referrer(op.repository, subject, digest, asked, house)
    house.memory.forget((op.repository, digest))
    house.memory.forget_tag(op.repository, op.reference)
    if is_digest(op.reference):
        await house.facts.forget(op.repository, digest)
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


async def _lost(repository: Repository, subject: Digest, deleted: Digest, house: House) -> list[Entry]:
    """Return entries of ours that the deleted manifest carried."""
    entries = await house.ledger.entries(repository, subject)
    carried = [e for e in entries if e.artifact == deleted]
    if any(e.key.format == SIMPLE for e in carried):  # one `.sig` manifest carries all simple signatures
        return [e for e in entries if e.key.format == SIMPLE or e in carried]
    return carried


async def _record(
    op: DeleteManifest, digest: Digest, subject: Digest | None, lost: int, asked: Asked, house: House
) -> None:
    caller = await house.rights.caller(op.repository, asked.credential)
    await house.journal.record(
        Event(
            at=house.clock.now(),
            kind=Kind.SIGNATURE_REMOVED if subject else Kind.MANIFEST_DELETED,
            who=name_of(caller),
            how=getattr(caller, "how", ""),
            repository=op.repository,
            reference=op.reference,
            digest=subject or digest,
            request_id=asked.request_id,
            detail={"signatures": lost, "manifest": digest, "tag": signature_tag(subject)} if subject else {},
        )
    )


async def delete_blob(op: DeleteBlob, asked: Asked, house: House) -> Answer:
    """Relay the deletion of a blob and record it."""
    answer = await relay(op, asked, house)
    if answer.status < 300:
        house.memory.blobs.pop((op.repository, op.digest), None)
        caller = await house.rights.caller(op.repository, asked.credential)
        await house.journal.record(
            Event(
                at=house.clock.now(),
                kind=Kind.BLOB_DELETED,
                who=name_of(caller),
                how=getattr(caller, "how", ""),
                repository=op.repository,
                digest=op.digest,
                request_id=asked.request_id,
            )
        )
    return answer
