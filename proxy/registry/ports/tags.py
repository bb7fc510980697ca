"""The tags port: where tags point, and which task may move them now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.tag import Hold, TagFact


class Tags(Protocol):
    """One row per tag: the digest it points at, and the lock for moving it. All calls raise Unavailable.

    `sole` is true when no other process can write the rows: a hold is then in memory and costs no commit.
    """

    sole: bool

    async def find(self, repository: Repository, tags: Collection[Tag]) -> Mapping[Tag, TagFact]:
        """Return what is recorded about these tags; unknown tags are left out."""

    async def take(
        self, repository: Repository, tags: Collection[Tag], holder: str, moving_to: Mapping[Tag, Digest]
    ) -> Hold | None:
        """Hold all of these tags for `HELD_S`, or none: None while another holder has one; nothing is written then.

        `moving_to` is recorded for tags that point elsewhere: at once, or, if `sole`, by `begin`.
        """

    async def begin(self, hold: Hold, moving_to: Mapping[Tag, Digest]) -> None:
        """Record where these tags are moving to, in the next commit that a task waits for."""

    async def begun(self, hold: Hold) -> None:
        """Return once that record is durable. A tag moves only afterwards."""

    async def renew(self, hold: Hold) -> bool:
        """Hold the tags for another `HELD_S`; False if another holder took one of them: then stop at once."""

    async def give_back(self, hold: Hold, facts: Sequence[TagFact]) -> bool:
        """Record the facts about these tags and release them all; False if they were lost before.

        A tag without any known fact has no row.
        """

    async def learn(self, fact: TagFact) -> None:
        """Record where a tag was seen to point, unless that is known, or another task holds the tag."""

    async def gone(self, repository: Repository, digest: Digest, stays: Callable[[Tag], bool]) -> tuple[Tag, ...]:
        """Record that a manifest was deleted, and return all tags that pointed at it.

        They now point at nothing, except those for which `stays` is true: these never move.
        """

    async def above(self, repository: Repository, digest: Digest, depth: int, limit: int) -> tuple[Tag, ...]:
        """Return tags that point (or move) to this manifest or blob, or to a manifest above it.

        At most `depth` levels up are searched.
        """

    async def unfinished(self, limit: int, after: TagFact | None = None) -> tuple[TagFact, ...]:
        """Return tags with an unfinished move that no task holds, oldest first; with `after`, only later ones."""
