"""Tags are held while they move: whatever reads, moves and signs for one tag does so alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from proxy.flows.house import House
from proxy.oci.reference import Repository, Tag


@asynccontextmanager
async def held(repository: Repository, tags: Sequence[Tag], house: House) -> AsyncIterator[None]:
    """Nobody else moves these tags, or signs for them, inside."""
    async with AsyncExitStack() as alone:
        for tag in sorted(set(tags)):
            await alone.enter_async_context(house.memory.alone(("tag", repository, tag)))
        yield
