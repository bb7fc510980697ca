"""Tags are held while they move: one task at a time reads, moves and signs for a tag, across all servers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from proxy.oci.faults import Fault, Told, Unavailable
from proxy.oci.operation import (
    DeleteBlob,
    DeleteManifest,
    FinishUpload,
    Operation,
    PushManifest,
    StartUpload,
    UploadChunk,
)
from proxy.oci.reference import Digest, Repository, Tag, signature_tag
from proxy.registry.ports.upstream import Credential, Headers, ReferrersApi, Registry, UpstreamResponse
from proxy.registry.ports_in_use import Ports
from proxy.trust.fact import HELD_S, Hold, TagFact

_TRY_S = 0.04  # between two checks whether a tag is free
_TURN_S = 0.05  # longer than _TRY_S: a task that waited here lets other servers go first
_RENEW_S = HELD_S / 5
_MARGIN_S = 3.0  # no step is begun this close to the end of a hold
_WRITES = (PushManifest, StartUpload, UploadChunk, FinishUpload, DeleteManifest, DeleteBlob)


@dataclass
class Held:
    """Tags that only this push may move, the facts about each, and Ports that refuse writes once the hold is lost.

    The final content of `facts` is recorded.
    """

    repository: Repository
    ports: Ports
    tags: frozenset[Tag] = frozenset()
    hold: Hold | None = None
    facts: dict[Tag, TagFact] = field(default_factory=dict)
    moving_to: dict[Tag, Digest] = field(default_factory=dict)
    until: float = float("inf")  # on the event loop's clock
    left: set[Tag] = field(default_factory=set)  # tags whose former images still carry their name
    over: bool = False

    @property
    def rows(self) -> dict[Tag, TagFact]:
        """The facts at the time the tags were taken."""
        return {} if self.hold is None else dict(self.hold.rows)

    def fact(self, tag: Tag) -> TagFact:
        """The current fact about this tag."""
        return self.facts.get(tag) or TagFact(self.repository, tag, None, self.ports.clock.now())

    def require(self) -> None:
        """Return while the tags are certainly held. Raises Unavailable."""
        if asyncio.get_running_loop().time() > self.until:
            raise Unavailable("another server has taken over this tag; push again", told=Told.TAG)

    async def begin(self) -> None:
        """Record in the store where the tags will move, with the next commit: a crash then leaves that record."""
        if self.hold is not None and self.moving_to:
            await self.ports.tags.begin(self.hold, self.moving_to)

    async def trying(self, tag: Tag) -> None:
        """Return once the store has that record; the tag may move now. Raises Unavailable."""
        if self.hold is not None and tag in self.tags:
            await self.ports.tags.begun(self.hold)
            self.facts[tag] = replace(self.fact(tag), moving_to=self.moving_to[tag])

    def refused(self, tag: Tag) -> None:
        """Record that the tag certainly stays where it was."""
        if tag in self.rows:
            self.facts[tag] = self.rows[tag]
        else:
            self.facts.pop(tag, None)

    def points(self, tag: Tag, digest: Digest | None, by: str, how: str, *, more: bool = False) -> None:
        """Record that the tag points there now. `more`: images it left may still carry its name."""
        fact, now = self.fact(tag), self.ports.clock.now()
        if tag not in self.tags:
            return
        if fact.digest != digest:
            fact = replace(fact, digest=digest, at=now, by=by, how=how)
        self.facts[tag] = replace(fact, moving_to=digest if more else None)
        if more:
            self.left.add(tag)

    def unfinished(self) -> list[Tag]:
        """Tags that may have moved without all signatures, or whose name other images still carry."""
        return [tag for tag in sorted(self.tags) if tag in self.left or self.fact(tag).moving_to is not None]

    async def give_back(self) -> None:
        """Record the facts and release the tags. Raises Unavailable."""
        if self.hold is not None and not self.over:
            self.over = True
            known = [self.fact(tag) for tag in self.hold.tags]
            await self.ports.tags.give_back(self.hold, known)


@asynccontextmanager
async def held(
    repository: Repository,
    tags: Collection[Tag],
    ports: Ports,
    *,
    moving_to: Digest | None = None,
    about: Collection[Digest] = (),
) -> AsyncIterator[Held]:
    """Hold these tags: no other task moves them or signs for them. Raises Fault while another server keeps them.

    `about`: the digests whose lists of signatures are written inside: other servers leave those alone as well. Callers
    in this process queue, and only the first of them asks the store. Tags come before lists: all tasks lock in that
    order.
    """
    moves = {} if moving_to is None else dict.fromkeys(tags, moving_to)
    lists = [] if ports.tags.sole else [signature_tag(digest) for digest in dict.fromkeys(about)]
    names = [*sorted(set(tags)), *sorted(set(lists) - set(tags))]
    if not names:
        yield Held(repository, ports)
        return
    async with AsyncExitStack() as alone:
        waited = False
        for name in names:
            waited = ports.cache.busy(("tag", repository, name)) or waited
            await alone.enter_async_context(ports.cache.lock(("tag", repository, name)))
        if waited and not ports.tags.sole:
            await asyncio.sleep(_TURN_S)
        taken = asyncio.get_running_loop().time()
        hold = await _taken(repository, names, moves, ports)
        mine = Held(repository, ports, frozenset(tags), hold, dict(hold.rows), moves)
        keeping = None
        if not ports.tags.sole:
            mine.until = taken + HELD_S - _MARGIN_S
            mine.ports = replace(ports, registry=Fenced(ports.registry, mine))
            keeping = asyncio.create_task(_kept(hold, mine, ports))
        try:
            yield mine
        finally:
            if keeping is not None:
                keeping.cancel()
            with suppress(Unavailable):  # the hold expires by itself
                await asyncio.shield(mine.give_back())


async def _taken(repository: Repository, names: Sequence[Tag], moves: Mapping[Tag, Digest], ports: Ports) -> Hold:
    for _ in range(max(1, int(ports.limits.tag_wait_s / _TRY_S))):
        hold = await ports.tags.take(repository, names, secrets.token_hex(8), moves)
        if hold is not None:
            return hold
        await asyncio.sleep(_TRY_S)
    raise Fault(
        "TOOMANYREQUESTS",
        f"another server has been moving tag {names[0]} for more than {ports.limits.tag_wait_s:g} s; push again",
    )


async def _kept(hold: Hold, mine: Held, ports: Ports) -> None:
    """Renew the hold until it is lost; while the store does not answer, `until` passes."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_RENEW_S)
        request = loop.time()
        with suppress(Unavailable):
            if not await ports.tags.renew(hold):
                mine.until = 0.0
                return
            mine.until = request + HELD_S - _MARGIN_S


class Fenced:
    """The upstream registry, writable only while the tags are held."""

    def __init__(self, registry: Registry, held: Held) -> None:
        """Wrap this registry."""
        self._registry = registry
        self._held = held

    async def perform(
        self,
        operation: Operation,
        credential: Credential,
        *,
        headers: Headers = (),
        body: bytes | AsyncIterable[bytes] | None = None,
        length: int | None = None,
        transfer: bool = False,
    ) -> UpstreamResponse:
        """Send one operation; a write only while the tags are held. Raises Unavailable."""
        if isinstance(operation, _WRITES):
            self._held.require()
        return await self._registry.perform(
            operation, credential, headers=headers, body=body, length=length, transfer=transfer
        )

    async def follow(self, reply: UpstreamResponse) -> UpstreamResponse:
        """Return the target of a redirected blob reply. Raises Unavailable."""
        return await self._registry.follow(reply)

    async def referrers_api(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi:
        """Return whether upstream has the referrers API. Raises Unavailable."""
        return await self._registry.referrers_api(repository, subject, credential)
