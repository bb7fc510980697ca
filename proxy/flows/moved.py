"""What follows from a move of a tag: what it points at is signed for it, and nothing else is any more (WIRE 1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from proxy.flows.asked import Asked
from proxy.flows.attach import attach, take_off
from proxy.flows.budget import Exhausted
from proxy.flows.children import LEFT_OUT
from proxy.flows.house import House
from proxy.flows.meant import denied
from proxy.flows.sign import SIMPLE, bound_to
from proxy.flows.tags import held
from proxy.flows.write import exists
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Entry

AT_ONCE = 64  # manifests cleared while the tag is held, newest first; whoever pushes to it waits for that long


async def bind(repository: Repository, subject: Descriptor, tags: Sequence[Tag], asked: Asked, house: House) -> None:
    """After this the manifest carries all that was signed for it, and the tags' names; then its children do.

    The caller holds the tags and has seen them move here. Raises what `attach` raises.
    """
    await attach(repository, subject, asked, house, moved=tags, others=False)
    below = [digest for digest in await _tree(repository, subject.digest, house) if digest != subject.digest]
    if not below:
        return
    signed = {
        e.key.digest for tag in tags for e in await house.ledger.bound(repository, bound_to(repository, tag, house))
    }
    for digest in below:
        fact = await house.facts.manifest(repository, digest) if digest in signed else None
        if fact is not None and await denied(repository, digest, house) is None:
            child = Descriptor(fact.media_type, digest, fact.size)
            try:
                await attach(repository, child, asked, house, moved=tags, others=False)
            except Exhausted as much:  # the index itself is signed for them
                asked.budget.notes.append(f"{LEFT_OUT}: {much.what}")
                return


def told(repository: Repository, tag: Tag, digest: Digest, asked: Asked, house: House) -> None:
    """Every move of a tag comes by here: what was remembered of it is forgotten, and what named it elsewhere goes."""
    house.memory.forget_tag(repository, tag)
    beside = Asked(asked.credential, asked.request_id)
    house.memory.later(finish(repository, tag, digest, beside, house))


async def finish(repository: Repository, tag: Tag, digest: Digest, asked: Asked, house: House) -> None:
    """After this only what the tag points at, and its children, are signed for it; the tag was just moved to `digest`.

    Asks upstream nothing where nothing else was signed for it. Never raises for the world's sake: what could not be
    done now is done after the next push of this tag.
    """
    more = True
    while more:
        with suppress(Unavailable, Corrupt, Fault):
            more = False
            async with held(repository, (tag,), house):
                more = await clear(repository, tag, digest, asked, house)


async def clear(repository: Repository, tag: Tag, digest: Digest, asked: Asked, house: House) -> bool:
    """Take the tag's name off images that it left, some at a time; return True where there are more of them.

    The caller holds the tag. Raises Unavailable, Fault.
    """
    stale = await _stale(repository, tag, digest, house)
    if not stale or await exists(repository, tag, asked, house) != digest:
        return False
    cleared = 0
    for about in list(stale)[:AT_ONCE]:
        with suppress(Unavailable, Corrupt, Fault):
            await _drop(repository, about, stale[about], asked, house)
            cleared += 1
    return 0 < cleared < len(stale)


async def _stale(repository: Repository, tag: Tag, digest: Digest | None, house: House) -> dict[Digest, list[Entry]]:
    """Return what was signed for this tag beside what it points at, by image."""
    entries = await house.ledger.bound(repository, bound_to(repository, tag, house))
    if all(e.key.digest == digest for e in entries):
        return {}
    keep = {} if digest is None else await _tree(repository, digest, house)
    stale: dict[Digest, list[Entry]] = {}
    for entry in entries:
        if entry.key.digest not in keep and entry.key.format == SIMPLE:
            stale.setdefault(entry.key.digest, []).append(entry)
    return stale


async def _tree(repository: Repository, digest: Digest, house: House) -> dict[Digest, None]:
    """Return this manifest and everything below it, as far as it can have been signed with it, from the top down."""
    found, level = {digest: None}, [digest]
    for _ in range(house.limits.index_depth):
        facts = [await house.facts.manifest(repository, each) for each in level]
        level = [child for fact in facts if fact for child in fact.children if child not in found]
        found.update(dict.fromkeys(level))
    return found


async def _drop(repository: Repository, about: Digest, entries: Sequence[Entry], asked: Asked, house: House) -> None:
    memory = house.memory
    async with memory.alone(("sign", repository, about)), memory.alone(("attach", repository, about)):
        await take_off(repository, about, entries, asked, house)
    memory.forget((repository, about))
    await house.journal.record(
        *(
            Event(
                at=house.clock.now(),
                kind=Kind.SIGNATURE_REMOVED,
                repository=repository,
                reference=e.key.bound,
                digest=about,
                request_id=asked.request_id,
                detail={"format": e.key.format, "key": e.key.fingerprint, "why": "its tag moved to another image"},
            )
            for e in entries
        )
    )
