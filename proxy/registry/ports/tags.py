"""Where tags point, and who may move them now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.tag import Hold, TagFact


class Tags(Protocol):
    """One row per tag: the fact where it points, and the lock for moving it. All calls raise Unavailable.

    `sole` is true where no other process can write the rows: then a hold is in memory and costs no commit.
    """

    sole: bool

    async def find(self, repository: Repository, tags: Collection[Tag]) -> Mapping[Tag, TagFact]:
        """Return what is known of these tags; those nothing is known of are left out."""

    async def take(
        self, repository: Repository, tags: Collection[Tag], holder: str, moving_to: Mapping[Tag, Digest]
    ) -> Hold | None:
        """Hold all of these tags for `HELD_S`, or none of them: None while another holder has one, and nothing written.

        `moving_to` is recorded of those that point elsewhere: at once, or on a store of our own by `begin`.
        """

    async def begin(self, hold: Hold, moving_to: Mapping[Tag, Digest]) -> None:
        """Have it recorded where these tags move, in the next commit that somebody waits for."""

    async def begun(self, hold: Hold) -> None:
        """Return once that is durable. A tag moves only afterwards."""

    async def renew(self, hold: Hold) -> bool:
        """Hold them for another `HELD_S`; False where somebody else took one of them: then stop at once."""

    async def give_back(self, hold: Hold, facts: Sequence[TagFact]) -> bool:
        """Record what is known of these tags now, and let others have them all; False where they were lost before.

        A tag of which nothing is known any more has no row.
        """

    async def learn(self, fact: TagFact) -> None:
        """Record where a tag was seen to point, unless that is known, or somebody holds it."""

    async def gone(self, repository: Repository, digest: Digest, stays: Callable[[Tag], bool]) -> tuple[Tag, ...]:
        """Record that a manifest was deleted: tags that pointed at it point at nothing, but for those that `stays`
        names: they are never moved. Return all of them.
        """

    async def above(self, repository: Repository, digest: Digest, depth: int, limit: int) -> tuple[Tag, ...]:
        """Return tags that point (or are moving) at this manifest or blob, or at what lists it, so many levels up."""

    async def unfinished(self, limit: int, after: TagFact | None = None) -> tuple[TagFact, ...]:
        """Return tags whose move nobody finished and nobody holds, the oldest first; those after this one only."""
