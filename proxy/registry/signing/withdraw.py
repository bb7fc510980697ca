"""Withdraw our signatures for a deleted image; signatures made by others stay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from proxy.formats import carrier
from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import DeleteManifest
from proxy.oci.reference import Digest, Reference, Repository, Tag, fallback_tag, signature_tag
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.registry.signing.attach import layer_of
from proxy.registry.signing.sign import SIMPLE
from proxy.registry.writing.tags import held
from proxy.registry.writing.take_off import GONE, erase, off_fallback, off_sig
from proxy.registry.writing.write import exists
from proxy.trust.ledger import Entry, Stage
from proxy.trust.question import Caller

T = TypeVar("T")
TRIES = 15  # retries of a removal that failed
LOOK_S = 20.0  # seconds between two retries


@dataclass
class Withdrawn:
    """What was withdrawn with an image: signatures, deleted lists and bundles, shortened lists; what is left, why.

    `there`: upstream still has the image; `gone`: it does not. If that could not be determined, `left` says so.
    """

    there: bool = False
    gone: bool = False
    signatures: int = 0
    deleted: list[Reference] = field(default_factory=list)
    shortened: list[Tag] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def worth_a_row(self) -> bool:
        """True when something was removed or should have been."""
        return bool(self.signatures or self.deleted or self.left)

    @property
    def row(self) -> dict[str, object]:
        """The journal's detail of the withdrawal."""
        return {"signatures": self.signatures, "deleted": list(self.deleted), "shortened": list(self.shortened)}


async def withdraw(
    repository: Repository, digest: Digest, tags: Collection[Tag], request: Request, ports: Ports
) -> Withdrawn:
    """Remove all our signatures for this image from upstream and ledger, unless upstream still has the image.

    `tags` are the image's former tags; the caller holds them and the image's lists. Never raises because of upstream:
    signatures that could not be checked or deleted are in `left`, stay in the ledger, and are removed when the image is
    deleted again.
    """
    done, place = Withdrawn(), (repository, digest)
    try:
        if not await ports.ledger.entries(*place):
            return done
        async with asyncio.timeout(ports.limits.tag_wait_s):
            await ports.cache.pushes.none_of(place, partial(_withdrawn, done, repository, digest, tags, request, ports))
    except TimeoutError:
        done.left.append(f"{digest} was being pushed, or upstream took too long")
    except (Unavailable, Corrupt, Fault) as why:
        done.left.append(f"{digest}: {why}")
    return done


async def _withdrawn(
    done: Withdrawn, repository: Repository, digest: Digest, tags: Collection[Tag], request: Request, ports: Ports
) -> None:
    """As `withdraw`, while no other task pushes the image here, signs it, or writes its lists."""
    done.gone = await _gone(repository, digest, tags, request, ports)
    done.there = not done.gone
    if done.there:
        return
    entries = await ports.ledger.entries(repository, digest)
    await ports.facts.forget(repository, digest)
    await _simple(done, repository, digest, [e for e in entries if e.key.format == SIMPLE], request, ports)
    await _referring(done, repository, digest, [e for e in entries if e.key.format != SIMPLE], request, ports)
    ports.cache.forget((repository, digest))


async def _gone(repository: Repository, digest: Digest, tags: Collection[Tag], request: Request, ports: Ports) -> bool:
    """True when upstream answers 404 for the image. A tag that still leads to it is deleted as well.

    Other registries delete such tags with the image.
    """
    try:
        there = await exists(repository, digest, request, ports)
    except (Unavailable, Corrupt, Fault):
        request = replace(request, credential=Credential(ours=True))
        if not await _sees(repository, digest, request, ports):
            raise
        there = await exists(repository, digest, request, ports)
    if there is not None:
        return False
    for tag in sorted(tags):
        if await exists(repository, tag, request, ports) == digest:
            reply = await ports.registry.perform(DeleteManifest(repository, tag), request.credential)
            await reply.close()
            if await exists(repository, tag, request, ports) == digest:
                raise Unavailable(f"upstream answered {reply.status} to the deletion of {tag}, which still leads to it")
    return True


async def _sees(repository: Repository, digest: Digest, request: Request, ports: Ports) -> bool:
    """True when this account certainly can read here: it finds one of our lists. Else its 404 may hide a refusal."""
    for tag in (signature_tag(digest), fallback_tag(digest)):
        with suppress(Unavailable, Corrupt, Fault):
            if await exists(repository, tag, request, ports) is not None:
                return True
    return False


async def _simple(
    done: Withdrawn, repository: Repository, digest: Digest, entries: Sequence[Entry], request: Request, ports: Ports
) -> None:
    marks = {carrier.mark(layer_of(e, ports)) for e in entries if e.signature is not None}
    tag = signature_tag(digest)
    if await _list(done, tag, partial(off_sig, repository, digest, marks), request, ports):
        await _removed(done, entries, ports)


async def _referring(
    done: Withdrawn, repository: Repository, digest: Digest, entries: Sequence[Entry], request: Request, ports: Ports
) -> None:
    """Withdraw our referrers: off the list first, so that the list never names a missing manifest."""
    artifacts = {e.artifact for e in entries if e.artifact is not None}
    unlist = partial(off_fallback, repository, digest, artifacts)
    if artifacts and not await _list(done, fallback_tag(digest), unlist, request, ports):
        return
    for artifact in sorted(artifacts):
        went, why = await _tried(partial(erase, repository, None, artifact), request, ports)
        if why is not None:
            done.left.append(f"{artifact}: {why}")
            continue
        if went:
            done.deleted.append(artifact)
        await _removed(done, [e for e in entries if e.artifact == artifact], ports)
    await _removed(done, [e for e in entries if e.artifact is None], ports)


async def _list(
    done: Withdrawn,
    tag: Tag,
    take_off: Callable[[Request, Ports], Awaitable[bytes | None]],
    request: Request,
    ports: Ports,
) -> bool:
    """Remove our entries from this list; False if that failed."""
    rest, why = await _tried(take_off, request, ports)
    if why is not None:
        done.left.append(f"{tag}: {why}")
        return False
    if rest is not None:
        (done.deleted if rest == GONE else done.shortened).append(tag)
    return True


async def _removed(done: Withdrawn, entries: Sequence[Entry], ports: Ports) -> None:
    if entries:
        await ports.ledger.advance([e.key for e in entries], Stage.REMOVED)
        done.signatures += sum(e.stage is Stage.ATTACHED for e in entries)


async def _tried(
    step: Callable[[Request, Ports], Awaitable[T]], request: Request, ports: Ports
) -> tuple[T | None, str | None]:
    """Return the step's result, or its error: tried with the caller's credential, then with ours."""
    try:
        return await step(request, ports), None
    except (Unavailable, Corrupt, Fault) as refused:
        said = str(refused)
    if request.credential.ours:
        return None, said
    try:
        found = await step(replace(request, credential=Credential(ours=True)), ports)
    except (Unavailable, Corrupt, Fault):
        return None, said
    return (None, said) if found is None else (found, None)  # our account may be unable to see the list


def try_later(repository: Repository, digest: Digest, request: Request, ports: Ports) -> None:
    """Schedule another try by `withdraw_again`; after a restart of this server the image must be deleted again."""
    ports.cache.to_withdraw[repository, digest] = Request(request.credential, request.request_id), TRIES


async def withdraw_again(ports: Ports) -> None:
    """Retry withdrawals that failed, and those of images still upstream after their deletion. Raises Unavailable."""
    for place, (request, tries) in list(ports.cache.to_withdraw.items()):
        ports.cache.to_withdraw.pop(place, None)
        done = Withdrawn()
        try:
            async with held(place[0], (), ports, about=[place[1]]) as hold:
                done = await withdraw(*place, (), request, hold.ports)
        except Fault as busy:
            done.left.append(str(busy))
        if (done.left or done.there) and tries > 1:
            ports.cache.to_withdraw[place] = request, tries - 1
        if done.signatures or done.deleted:
            await record(*place, replace(done, left=[]), None, request, ports)


async def record(
    repository: Repository, digest: Digest, done: Withdrawn, by: Caller | None, request: Request, ports: Ports
) -> None:
    """Record what was removed with an image and what should have been. A store outage fails no finished deletion."""
    detail = {**done.row, "why": "its image was deleted"}
    about = (repository, "", digest)
    row = ports.event(EventKind.SIGNATURE_REMOVED, by, request, about=about, detail=detail)
    rows = [row] if done.signatures or done.deleted else []
    if done.left:
        left = [text[:300] for text in done.left[:20]]
        rows.append(row._replace(kind=EventKind.SIGNATURE_LEFT, detail={"left": left, "gone": done.gone}))
    with suppress(Unavailable):
        await ports.journal.record(*rows)
