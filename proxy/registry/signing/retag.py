"""After a tag moves: sign its new image for it, and remove its name from all other images (WIRE 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial

from proxy.formats import carrier
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Repository, Tag, parse_digest
from proxy.registry.budget import Exhausted
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.read import together
from proxy.registry.request import Request
from proxy.registry.signing.attach import attach, layer_of, learn_list
from proxy.registry.signing.records import Records
from proxy.registry.signing.sign import SIMPLE, bound_to
from proxy.registry.signing.sign_children import LEFT_OUT
from proxy.registry.writing.immutable import immutable
from proxy.registry.writing.tags import Held, held
from proxy.registry.writing.take_off import off_sig
from proxy.registry.writing.write import exists
from proxy.trust.ledger import Entry, Stage

AT_ONCE = 64  # manifests cleared while the tag is held, newest first; pushes to the tag wait that long
ROUNDS = 100  # rounds of AT_ONCE manifests
PART = 100  # unfinished moves read together
LOOK_S = 20.0  # seconds between checks; the first is at every start


async def bind(
    repository: Repository,
    subject: Descriptor,
    tags: Sequence[Tag],
    request: Request,
    ports: Ports,
    records: Records | None = None,
) -> None:
    """Attach everything signed for the manifest and for these tags to it, and then to its children.

    The caller holds the tags and has seen them move here. `records` are the caller's to make, as those of `attach`.
    Raises what `attach` raises.
    """
    await attach(repository, subject, request, ports, moved=tags, others=False, records=records)
    below = [digest for digest in await tree(repository, (subject.digest,), ports) if digest != subject.digest]
    if not below:
        return
    signed = {
        e.key.digest for tag in tags for e in await ports.ledger.bound(repository, bound_to(repository, tag, ports))
    }

    async def child(digest: Digest) -> None:
        fact = await ports.facts.manifest(repository, digest)
        if fact is None or await denied(repository, digest, ports) is not None:
            return
        about = Descriptor(fact.media_type, digest, fact.size)
        try:
            await attach(repository, about, request, ports, moved=tags, others=False, records=records)
        except Exhausted as much:  # the index itself is signed for the tags
            note = f"{LEFT_OUT}: {much.what}"
            request.budget.notes += [] if note in request.budget.notes else [note]

    await together([child(digest) for digest in below if digest in signed])


async def record_move(
    moved: Collection[Tag],
    to: Digest | None,
    by: tuple[str, str],
    held: Held,
    ports: Ports,
    *events: Event,
    records: Records | None = None,
) -> None:
    """Record a tag's move from the held rows' digest to this one (None: deleted). Every move is recorded here.

    The facts, these rows of the journal, the other records and the end of the hold are one commit. Raises Unavailable.
    """
    for tag in moved:
        ports.cache.forget_tag(held.repository, tag)
        held.points(tag, to, *by, more=bool(await _stale(held.repository, tag, to, ports)))
    await (records or Records()).make(ports, held.give_back, partial(ports.journal.record, *events))


def finish_later(held: Held, request: Request, ports: Ports) -> list[asyncio.Task[None]]:
    """Finish, beside the request, the moves that the hold left unfinished."""
    beside = Request(request.credential, request.request_id)
    return [ports.cache.later(finish(held.repository, tag, beside, ports)) for tag in held.unfinished()]


async def finish_all(ports: Ports) -> None:
    """Finish the moves that a crashed process left unfinished, on this server or another one. Raises Unavailable.

    Each call continues after the last one, so moves that cannot be finished do not block the others.
    """
    found = await ports.tags.unfinished(PART, ports.cache.finished_to)
    ports.cache.finished_to = found[-1] if len(found) == PART else None
    for fact in found:
        await finish(fact.repository, fact.tag, Request(Credential(ours=True), "unfinished"), ports)


async def finish(repository: Repository, tag: Tag, request: Request, ports: Ports) -> None:
    """Sign the image that upstream has under the tag for it, and remove the tag's name from all but its children.

    Never raises because of upstream: moves that could not be checked stay unfinished; images that could not be cleared
    now are cleared after the next push of this tag.
    """
    for _ in range(ROUNDS):
        more = False
        with suppress(Unavailable, Corrupt, Fault):
            more = await _finished(repository, tag, request, ports)
        if not more:
            return


async def _finished(repository: Repository, tag: Tag, request: Request, ports: Ports) -> bool:
    """Return True when more work remains: other images to clear, or the tag moved without our knowledge."""
    async with held(repository, (tag,), ports) as hold:
        fact, there = hold.fact(tag), await _where(repository, tag, request, hold.ports)
        if fact.moving_to is not None and fact.moving_to != fact.digest and there is not None:
            await _bind_known(repository, tag, there, request, hold.ports)
        stale, more = await _clear(repository, tag, there, request, hold.ports)
        if stale and await _where(repository, tag, request, hold.ports) != there:
            return True
        fixed = there is None or bool(immutable(ports.rules.current().for_(repository), [tag]))
        hold.points(tag, fact.digest if fixed and fact.digest else there, "", "upstream", more=more)
        return more


async def _where(repository: Repository, tag: Tag, request: Request, ports: Ports) -> Digest | None:
    there = await exists(repository, tag, request, ports)
    return None if there is None else parse_digest(there)


async def _bind_known(repository: Repository, tag: Tag, digest: Digest, request: Request, ports: Ports) -> None:
    """Attach what a push signed for this tag before its process died, unless that push would be refused now."""
    fact = await ports.facts.manifest(repository, digest)
    if fact is None or ports.rules.current().for_(repository) is None:
        return
    if await denied(repository, digest, ports) is None:
        about = Descriptor(fact.media_type, digest, fact.size)
        async with held(repository, (), ports, about=await tree(repository, (digest,), ports)) as lists:
            await bind(repository, about, [tag], request, lists.ports)


async def clear(repository: Repository, tag: Tag, digest: Digest | None, request: Request, ports: Ports) -> None:
    """Remove the tag's name from images it left. The caller holds the tag and knows its digest. Raises Unavailable."""
    await _clear(repository, tag, digest, request, ports)


async def _clear(
    repository: Repository, tag: Tag, digest: Digest | None, request: Request, ports: Ports
) -> tuple[bool, bool]:
    """Clear some images; return whether there were any, and whether more remain."""
    stale = await _stale(repository, tag, digest, ports)
    part, cleared = list(stale)[:AT_ONCE], 0
    if part:
        async with held(repository, (), ports, about=part) as lists:
            for about in part:
                with suppress(Unavailable, Corrupt, Fault):
                    await _drop(repository, about, stale[about], request, lists.ports)
                    cleared += 1
    return bool(stale), 0 < cleared < len(stale)


async def _stale(repository: Repository, tag: Tag, digest: Digest | None, ports: Ports) -> dict[Digest, list[Entry]]:
    """Return the signatures for this tag on images that it does not point at, by image."""
    entries = await ports.ledger.bound(repository, bound_to(repository, tag, ports))
    if all(e.key.digest == digest for e in entries):
        return {}
    keep = {} if digest is None else await tree(repository, (digest,), ports)
    stale: dict[Digest, list[Entry]] = {}
    for entry in entries:
        if entry.key.digest not in keep and entry.key.format == SIMPLE:
            stale.setdefault(entry.key.digest, []).append(entry)
    return stale


async def tree(repository: Repository, digests: Sequence[Digest], ports: Ports) -> dict[Digest, None]:
    """Return these manifests and all below them, from the top, to the depth at which children can be signed too."""
    found, level = dict.fromkeys(digests), list(digests)
    for _ in range(ports.limits.index_depth):
        facts = [await ports.facts.manifest(repository, each) for each in level]
        level = [child for fact in facts if fact for child in fact.children if child not in found]
        found.update(dict.fromkeys(level))
    return found


async def _drop(
    repository: Repository, about: Digest, entries: Sequence[Entry], request: Request, ports: Ports
) -> None:
    cache = ports.cache
    async with cache.lock(("sign", repository, about)), cache.lock(("attach", repository, about)):
        marks = {carrier.mark(layer_of(e, ports)) for e in entries if e.signature is not None}
        rest = await off_sig(repository, about, marks, request, ports)
        await ports.ledger.advance([e.key for e in entries], Stage.REMOVED)
        if rest:
            await learn_list(repository, about, rest, ports)
    cache.forget((repository, about))
    await ports.journal.record(
        *(
            ports.event(
                EventKind.SIGNATURE_REMOVED,
                None,
                request,
                about=(repository, e.key.bound, about),
                detail={"format": e.key.format, "key": e.key.fingerprint, "why": "its tag moved to another image"},
            )
            for e in entries
            if e.stage is Stage.ATTACHED
        )
    )
