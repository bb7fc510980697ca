"""Tags in one table: a row is both the fact (where the tag points) and the lock for moving it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    literal,
    or_,
    select,
    text,
    tuple_,
    union,
    update,
)

from proxy.oci.reference import Digest, Repository, Tag
from proxy.store.clock import Clock
from proxy.store.database import Database, upsert
from proxy.store.facts import listed, manifests
from proxy.store.tables import BIG, Instant, metadata, value_of, values_of
from proxy.trust.fact import HELD_S, Hold, TagFact

_Place = tuple[Repository, Tag]
# Where each tag points, and (holder, fence, until) who may move it now. A row with neither is deleted.
tags = Table(
    "tags",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("digest", Text),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("moving_to", Text),
    Column("holder", Text),
    Column("fence", BIG, nullable=False),
    Column("until", Instant),
    Index("tags_by_digest", "repository", "digest"),
    Index("tags_moving", "moving_to", sqlite_where=text("moving_to IS NOT NULL")),
)
_FACT = ("digest", "at", "by", "how", "moving_to")  # the columns of the fact


class StoredTags:
    """The Tags port on a database.

    With other writers, tags are taken by one statement in a transaction of its own, sorted, so that two takers of the
    same tags wait for each other in one order; each taking increments `fence`, so that an earlier read can be compared.
    With a sole writer, a hold is in memory.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Use this database and this clock."""
        self._database = database
        self._clock = clock
        self.sole = database.sole
        self._holds: dict[_Place, str] = {}  # the holder of each tag, with a sole writer
        self._beginning: dict[str, Awaitable[object]] = {}  # by holder: recorded with the next commit

    async def find(self, repository: Repository, names: Collection[Tag]) -> Mapping[Tag, TagFact]:
        rows = await self._database.read(partial(_rows, repository=repository, names=sorted(names)))
        return {fact.tag: fact for fact in (value_of(TagFact, row) for row in rows)}

    async def take(
        self, repository: Repository, names: Collection[Tag], holder: str, moving_to: Mapping[Tag, Digest]
    ) -> Hold | None:
        wanted, now = tuple(sorted(set(names))), self._clock.now()
        if self.sole:
            if any((repository, tag) in self._holds for tag in wanted):
                return None
            self._holds |= dict.fromkeys([(repository, tag) for tag in wanted], holder)
            try:
                return Hold(repository, wanted, holder, await self.find(repository, wanted))
            except BaseException:
                self._let_go(repository, wanted, holder)
                raise
        rows = {row.tag: row for row in await self._database.read(partial(_rows, repository=repository, names=wanted))}
        if any(_held(row, now) for row in rows.values()):
            return None
        values = [_taken(repository, tag, rows.get(tag), holder, moving_to.get(tag), now) for tag in wanted]
        try:
            await self._database.at_once(partial(_take, values=values, now=now))
        except _Busy:
            return None
        return Hold(repository, wanted, holder, {tag: value_of(TagFact, row) for tag, row in rows.items()})

    async def begin(self, hold: Hold, moving_to: Mapping[Tag, Digest]) -> None:
        if self.sole:
            now = self._clock.now()
            moving = {tag: to for tag, to in moving_to.items() if not _points(hold.rows.get(tag), to)}
            values = [_taken(hold.repository, tag, None, None, to, now) for tag, to in moving.items()]
            if values:
                self._beginning[hold.holder] = self._database.along(partial(_begin, values=values))

    async def begun(self, hold: Hold) -> None:
        if hold.holder in self._beginning:
            await self._beginning[hold.holder]

    async def renew(self, hold: Hold) -> bool:
        if self.sole:
            return self._has(hold)
        until = self._clock.now() + timedelta(seconds=HELD_S)
        return await self._database.write(partial(_renew, hold=hold, until=until))

    async def give_back(self, hold: Hold, facts: Sequence[TagFact]) -> bool:
        if not self.sole:
            return await self._database.write(partial(_give_back, hold=hold, facts=tuple(facts)))
        if not self._has(hold):
            return False
        try:
            begun = self._beginning.pop(hold.holder, None) is not None
            changed = [fact for fact in facts if begun or fact != hold.rows.get(fact.tag)]
            if changed:
                await self._database.write(partial(_record, facts=changed))
        finally:
            self._let_go(hold.repository, hold.tags, hold.holder)
        return True

    async def learn(self, fact: TagFact) -> None:
        if (fact.repository, fact.tag) not in self._holds:
            await self._database.write(partial(_learn, fact=fact))

    async def gone(self, repository: Repository, digest: Digest, stays: Callable[[Tag], bool]) -> tuple[Tag, ...]:
        return await self._database.write(partial(_gone, repository=repository, digest=digest, stays=stays))

    async def above(self, repository: Repository, digest: Digest, depth: int, limit: int) -> tuple[Tag, ...]:
        work = partial(_above, repository=repository, digest=digest, depth=depth, limit=limit)
        return await self._database.read(work)

    async def unfinished(self, limit: int, after: TagFact | None = None) -> tuple[TagFact, ...]:
        work = partial(_unfinished, now=self._clock.now(), limit=limit, after=after)
        found = await self._database.read(work)
        return tuple(fact for fact in found if (fact.repository, fact.tag) not in self._holds)

    def _has(self, hold: Hold) -> bool:
        return all(self._holds.get((hold.repository, tag)) == hold.holder for tag in hold.tags)

    def _let_go(self, repository: Repository, names: Collection[Tag], holder: str) -> None:
        for tag in names:
            if self._holds.get((repository, tag)) == holder:
                del self._holds[repository, tag]


def _points(fact: TagFact | None, at: Digest | None) -> bool:
    return fact is not None and fact.digest == at


def _held(row: Row[Any], now: datetime) -> bool:
    """False for a hold that lasts far longer than allowed: its clock has been set back since."""
    return row.holder is not None and now < row.until <= now + timedelta(seconds=3 * HELD_S)


def _rows(connection: Connection, repository: Repository, names: Sequence[Tag]) -> list[Row[Any]]:
    query = select(tags).where(tags.c.repository == repository, tags.c.tag.in_(names)).order_by(tags.c.tag)
    return list(connection.execute(query))


def _taken(
    repository: Repository, tag: Tag, row: Row[Any] | None, holder: str | None, moving_to: Digest | None, now: datetime
) -> dict[str, Any]:
    """Return the new row of a tag that is taken."""
    known = TagFact(repository, tag, None, now) if row is None else value_of(TagFact, row)
    if moving_to is not None and known.digest != moving_to:
        known = replace(known, moving_to=moving_to)
    fence = 1 if row is None else row.fence + 1
    return {**values_of(known), "holder": holder, "fence": fence, "until": now + timedelta(seconds=HELD_S)}


class _Busy(Exception):
    """Another holder was first; nothing was written."""


def _take(connection: Connection, values: list[dict[str, Any]], now: datetime) -> None:
    """Take all, or raise _Busy. The rows read before must be unchanged: another holder may have been first."""
    statement = upsert(connection.dialect.name, tags).values(values)
    free = or_(tags.c.holder.is_(None), tags.c.until <= now, tags.c.until > now + timedelta(seconds=3 * HELD_S))
    taken = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[tags.c.repository, tags.c.tag],
            set_={name: statement.excluded[name] for name in ("moving_to", "holder", "fence", "until")},
            where=and_(free, tags.c.fence == statement.excluded.fence - 1),
        ).returning(tags.c.tag)
    ).all()
    if len(taken) != len(values):
        raise _Busy


def _begin(connection: Connection, values: list[dict[str, Any]]) -> None:
    statement = upsert(connection.dialect.name, tags)
    moving = statement.on_conflict_do_update(
        index_elements=[tags.c.repository, tags.c.tag], set_={"moving_to": statement.excluded.moving_to}
    )
    connection.execute(moving, [{**v, "until": None} for v in values])


def _renew(connection: Connection, hold: Hold, until: datetime) -> bool:
    result = connection.execute(update(tags).where(_ours(hold)).values(until=until))
    return result.rowcount == len(hold.tags)


def _ours(hold: Hold) -> Any:
    return and_(tags.c.repository == hold.repository, tags.c.tag.in_(hold.tags), tags.c.holder == hold.holder)


def _give_back(connection: Connection, hold: Hold, facts: tuple[TagFact, ...]) -> bool:
    """Record facts first: releasing in the same statement would leave the next holder without a row to compare."""
    ours = connection.execute(select(tags.c.tag).where(_ours(hold)).order_by(tags.c.tag).with_for_update()).all()
    if len(ours) == len(hold.tags):
        _change(connection, facts)
    connection.execute(update(tags).where(_ours(hold)).values(holder=None, until=None))
    _sweep(connection, hold.repository, hold.tags)
    return len(ours) == len(hold.tags)


def _change(connection: Connection, facts: Sequence[TagFact]) -> None:
    if facts:
        this = and_(tags.c.repository == bindparam("in_repository"), tags.c.tag == bindparam("of_tag"))
        values = [{"in_repository": fact.repository, "of_tag": fact.tag, **_said(fact)} for fact in facts]
        connection.execute(update(tags).where(this).values({n: bindparam(f"new_{n}") for n in _FACT}), values)


def _said(fact: TagFact) -> dict[str, Any]:
    return {f"new_{name}": getattr(fact, name) for name in _FACT}


def _record(connection: Connection, facts: Sequence[TagFact]) -> None:
    statement = upsert(connection.dialect.name, tags)
    put = statement.on_conflict_do_update(
        index_elements=[tags.c.repository, tags.c.tag], set_={name: statement.excluded[name] for name in _FACT}
    )
    connection.execute(put, [{**values_of(fact), "holder": None, "fence": 1, "until": None} for fact in facts])
    for repository in {fact.repository for fact in facts}:
        _sweep(connection, repository, [fact.tag for fact in facts if fact.repository == repository])


def _sweep(connection: Connection, repository: Repository, names: Collection[Tag]) -> None:
    """Delete released rows without a fact."""
    these = and_(tags.c.repository == repository, tags.c.tag.in_(names), tags.c.holder.is_(None))
    connection.execute(delete(tags).where(these, tags.c.digest.is_(None), tags.c.moving_to.is_(None)))


def _learn(connection: Connection, fact: TagFact) -> None:
    statement = upsert(connection.dialect.name, tags).values(
        {**values_of(fact), "holder": None, "fence": 1, "until": None}
    )
    names = ("digest", "at", "by", "how")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[tags.c.repository, tags.c.tag],
            set_={name: statement.excluded[name] for name in names},
            where=and_(tags.c.digest.is_(None), tags.c.holder.is_(None)),
        )
    )


def _gone(
    connection: Connection, repository: Repository, digest: Digest, stays: Callable[[Tag], bool]
) -> tuple[Tag, ...]:
    these = and_(tags.c.repository == repository, tags.c.digest == digest)
    names = tuple(Tag(row.tag) for row in connection.execute(select(tags.c.tag).where(these).order_by(tags.c.tag)))
    freed = [tag for tag in names if not stays(tag)]
    if freed:
        connection.execute(update(tags).where(these, tags.c.tag.in_(freed)).values(digest=None))
        _sweep(connection, repository, freed)
    return names


def _above(connection: Connection, repository: Repository, digest: Digest, depth: int, limit: int) -> tuple[Tag, ...]:
    up = select(literal(digest).label("digest"), literal(0).label("level")).cte("up", recursive=True)
    here = and_(listed.c.repository == repository, listed.c.digest == up.c.digest)
    step = (
        select(manifests.c.digest, up.c.level + 1)
        .join(listed, listed.c.manifest_id == manifests.c.id)
        .where(here, up.c.level < depth)
    )
    up = up.union(step)
    points = [
        select(tags.c.tag).join(up, up.c.digest == column).where(tags.c.repository == repository)
        for column in (tags.c.digest, tags.c.moving_to)
    ]
    return tuple(Tag(row.tag) for row in connection.execute(union(*points).limit(limit)))


def _unfinished(connection: Connection, now: datetime, limit: int, after: TagFact | None) -> list[TagFact]:
    free = or_(tags.c.holder.is_(None), tags.c.until <= now)
    order = (tags.c.at, tags.c.repository, tags.c.tag)
    query = select(tags).where(tags.c.moving_to.is_not(None), free).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(tuple_(*order) > (after.at, after.repository, after.tag))
    return [value_of(TagFact, row) for row in connection.execute(query)]
