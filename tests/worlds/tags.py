"""Tags in a dict: the fact and the lock, as in the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from proxy.oci.reference import Digest, Repository, Tag
from proxy.trust.fact import HELD_S, Hold, TagFact

if TYPE_CHECKING:
    from tests.worlds.memory import FrozenClock, MemoryFacts


@dataclass(frozen=True)
class _Row:
    fact: TagFact
    holder: str | None = None
    until: datetime | None = None


def _place(fact: TagFact) -> tuple[datetime, str, str]:
    return fact.at, fact.repository, fact.tag


class MemoryTags:
    """Tags in a dict. Where it is not `sole`, several proxies may share it."""

    def __init__(self, clock: FrozenClock, facts: MemoryFacts, *, sole: bool = True) -> None:
        self._clock = clock
        self._facts = facts
        self.sole = sole
        self._rows: dict[tuple[Repository, Tag], _Row] = {}

    async def find(self, repository: Repository, tags: Collection[Tag]) -> Mapping[Tag, TagFact]:
        return {tag: row.fact for tag in tags if (row := self._rows.get((repository, tag))) is not None}

    def of(self, repository: str, digest: str) -> tuple[Tag, ...]:
        """Up to three of the tags that point at this image."""
        facts = (row.fact for row in self._rows.values())
        return tuple(sorted(f.tag for f in facts if (f.repository, f.digest) == (repository, digest)))[:3]

    async def take(
        self, repository: Repository, tags: Collection[Tag], holder: str, moving_to: Mapping[Tag, Digest]
    ) -> Hold | None:
        wanted, now = tuple(sorted(set(tags))), self._clock.now()
        there = {tag: self._rows[repository, tag] for tag in wanted if (repository, tag) in self._rows}
        if any(row.holder is not None and (self.sole or self._lasts(row, now)) for row in there.values()):
            return None
        for tag in wanted:
            fact = there[tag].fact if tag in there else TagFact(repository, tag, None, now)
            if not self.sole and tag in moving_to and fact.digest != moving_to[tag]:
                fact = replace(fact, moving_to=moving_to[tag])
            self._rows[repository, tag] = _Row(fact, holder, now + timedelta(seconds=HELD_S))
        return Hold(repository, wanted, holder, {tag: row.fact for tag, row in there.items()})

    async def begin(self, hold: Hold, moving_to: Mapping[Tag, Digest]) -> None:
        for tag, to in moving_to.items() if self.sole else ():
            row = self._rows[hold.repository, tag]
            if row.fact.digest != to:
                self._rows[hold.repository, tag] = replace(row, fact=replace(row.fact, moving_to=to))

    async def begun(self, hold: Hold) -> None:
        """It is already."""

    async def renew(self, hold: Hold) -> bool:
        ours = self._ours(hold)
        for tag in ours:
            until = self._clock.now() + timedelta(seconds=HELD_S)
            self._rows[hold.repository, tag] = replace(self._rows[hold.repository, tag], until=until)
        return len(ours) == len(hold.tags)

    async def give_back(self, hold: Hold, facts: Sequence[TagFact]) -> bool:
        ours = self._ours(hold)
        if all_ours := len(ours) == len(hold.tags):
            for fact in facts:
                self._rows[hold.repository, fact.tag] = _Row(fact)
        for tag in ours:
            self._rows[hold.repository, tag] = _Row(self._rows[hold.repository, tag].fact)
        self._sweep()
        return all_ours

    async def learn(self, fact: TagFact) -> None:
        there = self._rows.get((fact.repository, fact.tag))
        if there is None or (there.holder is None and there.fact.digest is None):
            self._rows[fact.repository, fact.tag] = _Row(fact)

    async def gone(self, repository: Repository, digest: Digest, stays: Callable[[Tag], bool]) -> tuple[Tag, ...]:
        these = [key for key, row in self._rows.items() if key[0] == repository and row.fact.digest == digest]
        for key in [key for key in these if not stays(key[1])]:
            self._rows[key] = replace(self._rows[key], fact=replace(self._rows[key].fact, digest=None))
        self._sweep()
        return tuple(sorted(tag for _, tag in these))

    async def above(self, repository: Repository, digest: Digest, depth: int, limit: int) -> tuple[Tag, ...]:
        up = {digest}
        for _ in range(depth):
            facts = [f for f in self._facts.rows.values() if f.repository == repository]
            up |= {f.digest for f in facts if up & {*f.children, *f.blobs}}
        found = [
            tag
            for (where, tag), row in self._rows.items()
            if where == repository and up & {row.fact.digest, row.fact.moving_to}
        ]
        return tuple(sorted(found)[:limit])

    async def unfinished(self, limit: int, after: TagFact | None = None) -> tuple[TagFact, ...]:
        now = self._clock.now()
        free = [r for r in self._rows.values() if r.holder is None or not (self.sole or self._lasts(r, now))]
        found = sorted((r.fact for r in free if r.fact.moving_to is not None), key=_place)
        return tuple(fact for fact in found if after is None or _place(fact) > _place(after))[:limit]

    def restarted(self) -> None:
        """Another process has this store to itself now: holds in memory are gone with the one before."""
        if self.sole:
            self._rows = {key: _Row(row.fact) for key, row in self._rows.items()}
            self._sweep()

    def _lasts(self, row: _Row, now: datetime) -> bool:
        return row.until is not None and now < row.until <= now + timedelta(seconds=3 * HELD_S)

    def _ours(self, hold: Hold) -> list[Tag]:
        rows = ((tag, self._rows.get((hold.repository, tag))) for tag in hold.tags)
        return [tag for tag, row in rows if row is not None and row.holder == hold.holder]

    def _sweep(self) -> None:
        for key, row in list(self._rows.items()):
            if row.holder is None and row.fact.digest is None and row.fact.moving_to is None:
                del self._rows[key]
