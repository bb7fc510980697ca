"""A tag that moved: signatures that name it leave the image it left, or that one would still pass for it (WIRE 1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from proxy.flows.asked import Asked
from proxy.flows.attach import take_off
from proxy.flows.house import House
from proxy.flows.sign import SIMPLE, bound_to
from proxy.flows.write import exists
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Entry

AT_ONCE = 64  # manifests cleared after one push, newest first: it is done with the credentials of whoever pushed


async def drop_moved(repository: Repository, tag: Tag, digest: Digest, asked: Asked, house: House) -> None:
    """After this only what the tag points at, and its children, are signed for it; the tag was just moved to `digest`.

    Asks upstream nothing where nothing else was signed for it. Never raises for the world's sake: what could not be
    done now is done after the next push of this tag.
    """
    with suppress(Unavailable, Corrupt, Fault):
        entries = await house.ledger.bound(repository, bound_to(repository, tag, house))
        if all(e.key.digest == digest for e in entries):
            return
        keep = await _tree(repository, digest, house)
        stale: dict[Digest, list[Entry]] = {}
        for entry in entries:
            if entry.key.digest not in keep and entry.key.format == SIMPLE:
                stale.setdefault(entry.key.digest, []).append(entry)
        if not stale or await exists(repository, tag, asked, house) != digest:
            return
        for about in list(stale)[:AT_ONCE]:
            with suppress(Unavailable, Corrupt, Fault):
                await _drop(repository, tag, about, stale[about], asked, house)


async def _tree(repository: Repository, digest: Digest, house: House) -> set[Digest]:
    """Return this manifest and everything below it, as far as it can have been signed with it."""
    found, level = {digest}, [digest]
    for _ in range(house.limits.index_depth):
        facts = [await house.facts.manifest(repository, each) for each in level]
        level = [child for fact in facts if fact for child in fact.children if child not in found]
        found.update(level)
    return found


async def _drop(
    repository: Repository, tag: Tag, about: Digest, entries: Sequence[Entry], asked: Asked, house: House
) -> None:
    memory = house.memory
    # Nobody signs or attaches meanwhile. Whoever pushes to the tag now may be moving it back, and clears up afterwards.
    async with memory.alone(("sign", repository, about)), memory.alone(("attach", repository, about)):
        if memory.moves(repository, tag):
            return
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
