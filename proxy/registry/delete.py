"""Delete: when policy and upstream agree. Our records of the manifest and our signatures for it go too."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from proxy.formats.carrier import is_artifact_shape
from proxy.formats.format import Layer
from proxy.formats.table import claimed_by
from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import DeleteBlob, DeleteManifest
from proxy.oci.reference import (
    Digest,
    Tag,
    fallback_tag,
    is_digest,
    parse_digest,
    parse_tag,
    signature_tag,
    subject_of_tag,
)
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import examined, read_blob, read_manifest
from proxy.registry.reading.relay import relay
from proxy.registry.request import Request, Response
from proxy.registry.signing.retag import finish_later, record_move
from proxy.registry.signing.sign import SIMPLE
from proxy.registry.signing.withdraw import Withdrawn, record, try_later, withdraw
from proxy.registry.writing.admit import admit_delete
from proxy.registry.writing.fallback_tag import unlist_referrer
from proxy.registry.writing.immutable import immutable
from proxy.registry.writing.tags import Held, held
from proxy.registry.writing.write import exists, unsure
from proxy.trust.ledger import Stage
from proxy.trust.question import how_of, name_of

_ONLY = re.compile(r'(scope="repository:[^":]+:)delete(?=")')
TAGS = 64  # most tags of one manifest that are held while it is deleted
LEFT = "what was signed for it could not all be deleted; delete it again, or ask the operators of this registry"


async def delete_manifest(op: DeleteManifest, request: Request, ports: Ports) -> Response:
    """Relay the deletion; after success neither our caches nor the ledger say that the manifest still exists.

    Our signatures for an image that upstream no longer has, and those for a deleted tag, are removed too. If that
    fails, the deletion still succeeds; the response and the journal report the failure. Meanwhile the image's tags and
    lists of signatures are held, so signatures attached by a concurrent push are not forgotten.
    """
    if (login := await admit_delete(op.repository, op.reference, request, ports)) is not None:
        return login  # a caller who may not delete must not make others wait
    digest = await _digest(op, request, ports)
    subject = None if digest is None else await _subject(op, digest, request, ports)
    about = [each for each in (digest, subject) if each is not None]
    async with held(op.repository, await _tags(op, ports), ports, about=about) as hold:
        if (login := await admit_delete(op.repository, op.reference, request, ports)) is not None:
            return login
        hold.left |= hold.tags  # until upstream reports what became of the tags
        try:
            async with ports.cache.lock(("attach", op.repository, subject or digest)):
                answer = await _deleted(op, digest, subject, request, hold.ports)
            if not unsure(answer.status):
                hold.left.clear()
        finally:
            later = finish_later(hold, request, ports)
        with_it = Withdrawn()
        if digest is not None and _may_be_gone(op, answer):
            tags = hold.tags if is_digest(op.reference) else frozenset[Tag]()
            with_it = await withdraw(op.repository, digest, tags, request, hold.ports)
        if answer.status < 300 and digest is not None:
            if subject is not None and is_digest(op.reference):
                with_it.left += await _unlisted(op, subject, digest, request, hold.ports)
            later += await _let_go(op, hold, request, ports)
    if later:
        await asyncio.wait(later, timeout=ports.limits.gather_deadline_s)
    if digest is not None:
        await _record_withdrawn(op, digest, with_it, answer, request, ports)
    return replace(answer, warning=f"{ports.name}: {LEFT}") if with_it.left else answer


def _may_be_gone(op: DeleteManifest, answer: Response) -> bool:
    """True when upstream may no longer have the manifest, also when it had gone before: a check is worth its cost."""
    return answer.status < 300 or unsure(answer.status) or (answer.status == 404 and is_digest(op.reference))


async def _record_withdrawn(
    op: DeleteManifest, digest: Digest, with_it: Withdrawn, answer: Response, request: Request, ports: Ports
) -> None:
    """Record the signatures that were removed or should have been. Failures, and delayed deletions, are tried again."""
    if with_it.left or (
        is_digest(op.reference) and answer.status != 404 and with_it.there and _may_be_gone(op, answer)
    ):
        try_later(op.repository, digest, request, ports)
    if with_it.worth_a_row:
        caller = await ports.rights.caller(op.repository, request.credential)
        await record(op.repository, digest, with_it, caller, request, ports)


async def _tags(op: DeleteManifest, ports: Ports) -> list[Tag]:
    """Return the tags that the deletion may remove: the given tag, or all tags known to point at the manifest."""
    if is_digest(op.reference):
        known = await ports.tags.above(op.repository, parse_digest(op.reference), 0, TAGS)
    else:
        known = (parse_tag(op.reference),)
    return [tag for tag in known if subject_of_tag(tag) is None]


async def _unlisted(op: DeleteManifest, subject: Digest, digest: Digest, request: Request, ports: Ports) -> list[str]:
    """Remove the deleted manifest from the fallback tag's list; return the errors if that failed."""
    try:
        await unlist_referrer(op.repository, subject, digest, request, ports)
    except (Unavailable, Corrupt, Fault) as why:
        return [f"{digest} is still listed: {why}"]
    return []


async def _let_go(op: DeleteManifest, hold: Held, request: Request, ports: Ports) -> list[asyncio.Task[None]]:
    """Record that the held tags point at nothing; return the tasks that still clean up signatures naming them."""
    caller = await ports.rights.caller(op.repository, request.credential)
    await record_move(hold.tags, None, (name_of(caller), how_of(caller)), hold, ports)
    return finish_later(hold, request, ports)


async def _deleted(
    op: DeleteManifest, digest: Digest | None, subject: Digest | None, request: Request, ports: Ports
) -> Response:
    """Have upstream delete the manifest; record our attached signatures as removed, pending ones stay pending."""
    carries = subject is not None and digest is not None and await _carries(op, subject, digest, request, ports)
    answer = await relay(op, request, ports)
    if answer.status >= 300 or digest is None:
        return _asking_for_all(answer)
    entries = await ports.ledger.entries(op.repository, subject) if subject else ()
    attached = [e for e in entries if e.stage is Stage.ATTACHED]
    lost = [e for e in attached if (carries if e.key.format == SIMPLE else e.artifact == digest)]
    if lost:
        await ports.ledger.advance([e.key for e in lost], Stage.REMOVED)
    if subject is not None:
        ports.cache.forget((op.repository, subject))
    ports.cache.forget((op.repository, digest))
    ports.cache.forget_tag(op.repository, op.reference)
    kept = fallback_tag(digest) if is_digest(op.reference) else parse_tag(op.reference)
    ports.cache.kept_by_users.pop((op.repository, kept), None)
    if is_digest(op.reference):
        await ports.facts.forget(op.repository, digest)
        policy = ports.rules.current().for_(op.repository)
        for tag in await ports.tags.gone(op.repository, digest, lambda tag: bool(immutable(policy, [tag]))):
            ports.cache.forget_tag(op.repository, tag)
    await _record(op, digest, subject if lost else None, len(lost), request, ports)
    return answer


def _asking_for_all(answer: Response) -> Response:
    """Return upstream's demand for a token to delete as a demand to read, write and delete.

    Our signatures are read, and removed from lists, with the caller's credential.
    """
    if answer.status != 401:
        return answer
    wider = ((n, _ONLY.sub(r"\1pull,push,delete", v) if n == "www-authenticate" else v) for n, v in answer.headers)
    return replace(answer, headers=tuple(wider))


async def _digest(op: DeleteManifest, request: Request, ports: Ports) -> Digest | None:
    if is_digest(op.reference):
        return parse_digest(op.reference)
    try:
        there = await exists(op.repository, op.reference, request, ports)
    except Unavailable:
        return None
    return parse_digest(there) if there else None


async def _subject(op: DeleteManifest, digest: Digest, request: Request, ports: Ports) -> Digest | None:
    """Return the manifest's subject: from its tag, from our facts about it, or (for a signature) from its content."""
    if not is_digest(op.reference):
        return subject_of_tag(parse_tag(op.reference))
    fact = await ports.facts.manifest(op.repository, digest)
    if fact is not None and (fact.subject is not None or fact.artifact is False):
        return fact.subject
    try:
        manifest = await read_manifest(op.repository, digest, request, ports)
        if manifest is None or not is_artifact_shape(manifest):
            return None
        layer = manifest.layers[0]
        form = claimed_by(layer.media_type)
        if form is None:
            return None
        data = await read_blob(op.repository, layer, request, ports)
        return await examined(lambda: form.subject_of(Layer(layer, data)), data, request, ports)
    except (Unavailable, Corrupt, Fault):
        return None


async def _carries(op: DeleteManifest, subject: Digest, digest: Digest, request: Request, ports: Ports) -> bool:
    """True for the current `.sig` list, which carries all our simple signatures; an older list carries none."""
    tag = signature_tag(subject)
    if not is_digest(op.reference):
        return op.reference == tag
    try:
        return await exists(op.repository, tag, request, ports) == digest
    except Unavailable:
        return True  # signatures that may be gone do not count


async def _record(
    op: DeleteManifest, digest: Digest, subject: Digest | None, lost: int, request: Request, ports: Ports
) -> None:
    caller = await ports.rights.caller(op.repository, request.credential)
    about = (op.repository, op.reference, subject or digest)
    event = ports.event(EventKind.MANIFEST_DELETED, caller, request, about=about)
    if subject:
        detail = {"signatures": lost, "manifest": digest, "tag": signature_tag(subject)}
        event = event._replace(kind=EventKind.SIGNATURE_REMOVED, detail=detail)
    await ports.journal.record(event)


async def delete_blob(op: DeleteBlob, request: Request, ports: Ports) -> Response:
    """Relay the deletion of a blob and record it. A layer that an immutable tag needs is kept."""
    if (login := await admit_delete(op.repository, op.digest, request, ports)) is not None:
        return login
    answer = await relay(op, request, ports)
    if answer.status < 300:
        ports.cache.blobs.pop((op.repository, op.digest), None)
        caller = await ports.rights.caller(op.repository, request.credential)
        about = (op.repository, "", op.digest)
        await ports.journal.record(ports.event(EventKind.BLOB_DELETED, caller, request, about=about))
    return answer
