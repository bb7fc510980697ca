"""What we signed for an image goes with it when it is deleted; what others signed stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from proxy.flows.asked import Asked
from proxy.flows.attach import layer_of
from proxy.flows.house import House
from proxy.flows.sign import SIMPLE
from proxy.flows.tags import held
from proxy.flows.take_off import GONE, erase, off_fallback, off_sig
from proxy.flows.write import exists
from proxy.formats import carrier
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import DeleteManifest
from proxy.oci.reference import Digest, Reference, Repository, Tag, fallback_tag, signature_tag
from proxy.ports import Credential
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Entry, Stage

T = TypeVar("T")
TRIES = 15  # of what could not be taken along at once
LOOK_S = 20.0  # between two of them


@dataclass
class Withdrawn:
    """How many signatures went with an image, which lists and bundles; which lists have others' left; what stayed, why.

    `there`: upstream still has the image; `gone`: it has not. Where that could not be found out, `left` says so.
    """

    there: bool = False
    gone: bool = False
    signatures: int = 0
    deleted: list[Reference] = field(default_factory=list)
    shortened: list[Tag] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def worth_a_row(self) -> bool:
        """True where something went or should have."""
        return bool(self.signatures or self.deleted or self.left)

    @property
    def row(self) -> dict[str, object]:
        """What the journal says of it."""
        return {"signatures": self.signatures, "deleted": list(self.deleted), "shortened": list(self.shortened)}


async def withdraw(
    repository: Repository, digest: Digest, tags: Collection[Tag], asked: Asked, house: House
) -> Withdrawn:
    """After this no signature of ours for this image is upstream, unless the image still is; the ledger says the same.

    `tags` are those it had, which the caller holds, with the lists of the image. Never raises for the world's sake:
    what could not be looked at or deleted is in `left`, stays in the ledger, and goes when the image is deleted again.
    """
    done, place = Withdrawn(), (repository, digest)
    try:
        if not await house.ledger.entries(*place):
            return done
        async with asyncio.timeout(house.limits.tag_wait_s):
            await house.memory.pushes.none_of(place, partial(_withdrawn, done, repository, digest, tags, asked, house))
    except TimeoutError:
        done.left.append(f"{digest} was being pushed, or upstream took too long")
    except (Unavailable, Corrupt, Fault) as why:
        done.left.append(f"{digest}: {why}")
    return done


async def _withdrawn(
    done: Withdrawn, repository: Repository, digest: Digest, tags: Collection[Tag], asked: Asked, house: House
) -> None:
    """As `withdraw`, while nobody pushes the image here, signs it, or writes its lists."""
    done.gone = await _gone(repository, digest, tags, asked, house)
    done.there = not done.gone
    if done.there:
        return
    entries = await house.ledger.entries(repository, digest)
    await house.facts.forget(repository, digest)
    await _simple(done, repository, digest, [e for e in entries if e.key.format == SIMPLE], asked, house)
    await _referring(done, repository, digest, [e for e in entries if e.key.format != SIMPLE], asked, house)
    house.memory.forget((repository, digest))


async def _gone(repository: Repository, digest: Digest, tags: Collection[Tag], asked: Asked, house: House) -> bool:
    """True where upstream answers 404 for the image. A tag that still leads to it goes too, as it does elsewhere."""
    try:
        there = await exists(repository, digest, asked, house)
    except (Unavailable, Corrupt, Fault):
        asked = replace(asked, credential=Credential(ours=True))
        if not await _sees(repository, digest, asked, house):
            raise
        there = await exists(repository, digest, asked, house)
    if there is not None:
        return False
    for tag in sorted(tags):
        if await exists(repository, tag, asked, house) == digest:
            reply = await house.registry.perform(DeleteManifest(repository, tag), asked.credential)
            await reply.close()
            if await exists(repository, tag, asked, house) == digest:
                raise Unavailable(f"upstream answered {reply.status} to the deletion of {tag}, which still leads to it")
    return True


async def _sees(repository: Repository, digest: Digest, asked: Asked, house: House) -> bool:
    """True where this account reads there for sure: it finds one of our lists. Else its 404 may be a word for no."""
    for tag in (signature_tag(digest), fallback_tag(digest)):
        with suppress(Unavailable, Corrupt, Fault):
            if await exists(repository, tag, asked, house) is not None:
                return True
    return False


async def _simple(
    done: Withdrawn, repository: Repository, digest: Digest, entries: Sequence[Entry], asked: Asked, house: House
) -> None:
    marks = {carrier.mark(layer_of(e, house)) for e in entries if e.signature is not None}
    tag = signature_tag(digest)
    if await _list(done, tag, partial(off_sig, repository, digest, marks), asked, house):
        await _removed(done, entries, house)


async def _referring(
    done: Withdrawn, repository: Repository, digest: Digest, entries: Sequence[Entry], asked: Asked, house: House
) -> None:
    """First off the list, so that it lists nothing that is not there."""
    artifacts = {e.artifact for e in entries if e.artifact is not None}
    unlist = partial(off_fallback, repository, digest, artifacts)
    if artifacts and not await _list(done, fallback_tag(digest), unlist, asked, house):
        return
    for artifact in sorted(artifacts):
        went, why = await _tried(partial(erase, repository, None, artifact), asked, house)
        if why is not None:
            done.left.append(f"{artifact}: {why}")
            continue
        if went:
            done.deleted.append(artifact)
        await _removed(done, [e for e in entries if e.artifact == artifact], house)
    await _removed(done, [e for e in entries if e.artifact is None], house)


async def _list(
    done: Withdrawn, tag: Tag, take_off: Callable[[Asked, House], Awaitable[bytes | None]], asked: Asked, house: House
) -> bool:
    """Take ours off this list; False where that could not be done."""
    rest, why = await _tried(take_off, asked, house)
    if why is not None:
        done.left.append(f"{tag}: {why}")
        return False
    if rest is not None:
        (done.deleted if rest == GONE else done.shortened).append(tag)
    return True


async def _removed(done: Withdrawn, entries: Sequence[Entry], house: House) -> None:
    if entries:
        await house.ledger.advance([e.key for e in entries], Stage.REMOVED)
        done.signatures += sum(e.stage is Stage.ATTACHED for e in entries)


async def _tried(
    step: Callable[[Asked, House], Awaitable[T]], asked: Asked, house: House
) -> tuple[T | None, str | None]:
    """Return what came of it, or why nothing: with the caller's credential, and where that does not do with ours."""
    try:
        return await step(asked, house), None
    except (Unavailable, Corrupt, Fault) as refused:
        said = str(refused)
    if asked.credential.ours:
        return None, said
    try:
        found = await step(replace(asked, credential=Credential(ours=True)), house)
    except (Unavailable, Corrupt, Fault):
        return None, said
    return (None, said) if found is None else (found, None)  # what ours does not see may be hidden from it


def try_later(repository: Repository, digest: Digest, asked: Asked, house: House) -> None:
    """Have it tried again by `withdraw_again`; whoever starts this server anew has to delete the image again."""
    house.memory.to_withdraw[repository, digest] = Asked(asked.credential, asked.request_id), TRIES


async def withdraw_again(house: House) -> None:
    """Try again what could not be taken along, or was still upstream after its deletion. Raises Unavailable."""
    for place, (asked, tries) in list(house.memory.to_withdraw.items()):
        house.memory.to_withdraw.pop(place, None)
        done = Withdrawn()
        try:
            async with held(place[0], (), house, about=[place[1]]) as hold:
                done = await withdraw(*place, (), asked, hold.house)
        except Fault as busy:
            done.left.append(str(busy))
        if (done.left or done.there) and tries > 1:
            house.memory.to_withdraw[place] = asked, tries - 1
        if done.signatures or done.deleted:
            await record(*place, replace(done, left=[]), ("countersign", ""), asked, house)


async def record(
    repository: Repository, digest: Digest, done: Withdrawn, by: tuple[str, str], asked: Asked, house: House
) -> None:
    """Write what went with an image, and what should have. A store that is away makes no error of a done deletion."""
    row = Event(
        at=house.clock.now(),
        kind=Kind.SIGNATURE_REMOVED,
        who=by[0],
        how=by[1],
        repository=repository,
        digest=digest,
        request_id=asked.request_id,
        detail={**done.row, "why": "its image was deleted"},
    )
    rows = [row] if done.signatures or done.deleted else []
    if done.left:
        left = [text[:300] for text in done.left[:20]]
        rows.append(row._replace(kind=Kind.SIGNATURE_LEFT, detail={"left": left, "gone": done.gone}))
    with suppress(Unavailable):
        await house.journal.record(*rows)
