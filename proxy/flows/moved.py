"""What follows from a move of a tag: what it points at is signed for it, and nothing else is any more (WIRE 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from proxy.flows.asked import Asked
from proxy.flows.attach import attach, layer_of, learn_list
from proxy.flows.budget import Exhausted
from proxy.flows.children import LEFT_OUT
from proxy.flows.house import House
from proxy.flows.immutable import immutable
from proxy.flows.meant import denied
from proxy.flows.sign import SIMPLE, bound_to
from proxy.flows.tags import Held, held
from proxy.flows.take_off import off_sig
from proxy.flows.write import exists
from proxy.formats import carrier
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Repository, Tag, parse_digest
from proxy.ports import Credential
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Entry, Stage

AT_ONCE = 64  # manifests cleared while the tag is held, newest first; whoever pushes to it waits for that long
ROUNDS = 100  # of them, one after the other
PART = 100  # unfinished moves looked at together
LOOK_S = 20.0  # how often; first at every start


async def bind(repository: Repository, subject: Descriptor, tags: Sequence[Tag], asked: Asked, house: House) -> None:
    """After this the manifest carries all that was signed for it, and the tags' names; then its children do.

    The caller holds the tags and has seen them move here. Raises what `attach` raises.
    """
    await attach(repository, subject, asked, house, moved=tags, others=False)
    below = [digest for digest in await tree(repository, (subject.digest,), house) if digest != subject.digest]
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


async def told(
    moved: Collection[Tag], to: Digest | None, by: tuple[str, str], held: Held, house: House, *events: Event
) -> None:
    """Every move of a tag comes by here: from where the held rows say, to this digest (None: it was deleted).

    The facts, these rows of the journal and the end of the hold are one commit. Raises Unavailable.
    """
    for tag in moved:
        house.memory.forget_tag(held.repository, tag)
        held.points(tag, to, *by, more=bool(await _stale(held.repository, tag, to, house)))
    await asyncio.gather(held.give_back(), house.journal.record(*events))


def finish_later(held: Held, asked: Asked, house: House) -> list[asyncio.Task[None]]:
    """Have finished beside the request what the hold has left unfinished."""
    beside = Asked(asked.credential, asked.request_id)
    return [house.memory.later(finish(held.repository, tag, beside, house)) for tag in held.unfinished()]


async def finish_all(house: House) -> None:
    """Finish the moves that somebody who died left unfinished, on this server or another one. Raises Unavailable.

    Each call goes on after the last one: those that cannot be finished keep nobody else waiting.
    """
    found = await house.tags.unfinished(PART, house.memory.finished_to)
    house.memory.finished_to = found[-1] if len(found) == PART else None
    for fact in found:
        await finish(fact.repository, fact.tag, Asked(Credential(ours=True), "unfinished"), house)


async def finish(repository: Repository, tag: Tag, asked: Asked, house: House) -> None:
    """After this the image that upstream has under the tag is signed for it, and no other but its children is.

    Never raises for the world's sake: what could not be looked at stays unfinished, and what could not be cleared now
    is cleared after the next push of this tag.
    """
    for _ in range(ROUNDS):
        more = False
        with suppress(Unavailable, Corrupt, Fault):
            more = await _finished(repository, tag, asked, house)
        if not more:
            return


async def _finished(repository: Repository, tag: Tag, asked: Asked, house: House) -> bool:
    """Return True where there is more to do: other images to clear, or the tag moved behind everybody's back."""
    async with held(repository, (tag,), house) as hold:
        fact, there = hold.fact(tag), await _where(repository, tag, asked, hold.house)
        if fact.moving_to is not None and fact.moving_to != fact.digest and there is not None:
            await _bind_known(repository, tag, there, asked, hold.house)
        stale, more = await _clear(repository, tag, there, asked, hold.house)
        if stale and await _where(repository, tag, asked, hold.house) != there:
            return True
        fixed = there is None or bool(immutable(house.rules.current().for_(repository), [tag]))
        hold.points(tag, fact.digest if fixed and fact.digest else there, "", "upstream", more=more)
        return more


async def _where(repository: Repository, tag: Tag, asked: Asked, house: House) -> Digest | None:
    there = await exists(repository, tag, asked, house)
    return None if there is None else parse_digest(there)


async def _bind_known(repository: Repository, tag: Tag, digest: Digest, asked: Asked, house: House) -> None:
    """Attach what a push signed for this tag before it died, unless it may not have gone on."""
    fact = await house.facts.manifest(repository, digest)
    if fact is None or house.rules.current().for_(repository) is None:
        return
    if await denied(repository, digest, house) is None:
        about = Descriptor(fact.media_type, digest, fact.size)
        async with held(repository, (), house, about=await tree(repository, (digest,), house)) as lists:
            await bind(repository, about, [tag], asked, lists.house)


async def clear(repository: Repository, tag: Tag, digest: Digest | None, asked: Asked, house: House) -> None:
    """Take the tag's name off images that it left. The caller holds it and has seen it there. Raises Unavailable."""
    await _clear(repository, tag, digest, asked, house)


async def _clear(
    repository: Repository, tag: Tag, digest: Digest | None, asked: Asked, house: House
) -> tuple[bool, bool]:
    """Clear some; return whether there were any, and whether there are more of them."""
    stale = await _stale(repository, tag, digest, house)
    part, cleared = list(stale)[:AT_ONCE], 0
    if part:
        async with held(repository, (), house, about=part) as lists:
            for about in part:
                with suppress(Unavailable, Corrupt, Fault):
                    await _drop(repository, about, stale[about], asked, lists.house)
                    cleared += 1
    return bool(stale), 0 < cleared < len(stale)


async def _stale(repository: Repository, tag: Tag, digest: Digest | None, house: House) -> dict[Digest, list[Entry]]:
    """Return what was signed for this tag beside what it points at, by image."""
    entries = await house.ledger.bound(repository, bound_to(repository, tag, house))
    if all(e.key.digest == digest for e in entries):
        return {}
    keep = {} if digest is None else await tree(repository, (digest,), house)
    stale: dict[Digest, list[Entry]] = {}
    for entry in entries:
        if entry.key.digest not in keep and entry.key.format == SIMPLE:
            stale.setdefault(entry.key.digest, []).append(entry)
    return stale


async def tree(repository: Repository, digests: Sequence[Digest], house: House) -> dict[Digest, None]:
    """Return these manifests and everything below them, as far as it can have been signed with them, from the top."""
    found, level = dict.fromkeys(digests), list(digests)
    for _ in range(house.limits.index_depth):
        facts = [await house.facts.manifest(repository, each) for each in level]
        level = [child for fact in facts if fact for child in fact.children if child not in found]
        found.update(dict.fromkeys(level))
    return found


async def _drop(repository: Repository, about: Digest, entries: Sequence[Entry], asked: Asked, house: House) -> None:
    memory = house.memory
    async with memory.alone(("sign", repository, about)), memory.alone(("attach", repository, about)):
        marks = {carrier.mark(layer_of(e, house)) for e in entries if e.signature is not None}
        rest = await off_sig(repository, about, marks, asked, house)
        await house.ledger.advance([e.key for e in entries], Stage.REMOVED)
        if rest:
            await learn_list(repository, about, rest, house)
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
            if e.stage is Stage.ATTACHED
        )
    )
