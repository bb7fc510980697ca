"""The append-only record, in tables. Denials are on disk before they are answered, allowed pulls within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import islice

from sqlalchemy import ColumnElement, Connection, Insert, Text, or_, select, type_coerce

from proxy.journal.affected import affected, signed
from proxy.journal.event import Event
from proxy.journal.impact import AffectedImages, SignedBy, SignedImage, Within
from proxy.journal.in_flight import announce, given, settled
from proxy.journal.port import JournalEntries, JournalEntry, Pulled, Search
from proxy.journal.reports import WouldBlock, pulled, would_block
from proxy.journal.rows import (
    FIRST_WAITS,
    append_rows,
    decisions,
    event_of,
    journal,
    keep_text,
    may_follow,
    revisions,
    row_key,
    row_of,
    same_row,
)
from proxy.oci.bounded import Bounded
from proxy.oci.faults import Unavailable
from proxy.oci.limits import MIB
from proxy.oci.slices import Slice
from proxy.store.database import Database, insert_once, upsert
from proxy.store.tables import rows_in
from proxy.trust.decision import Decision, of_decision
from proxy.trust.pattern import matches

_FLUSH_AFTER_S = 0.5
_BULK = 500  # rows written at once while nobody waits for them
_FLUSH_AT = 5_000  # rows waiting; from there on allowed pulls wait for the disk too
_IN_FLIGHT_S, _IN_FLIGHT_WAITS = 0.01, 50  # how long, and how often, a reader waits for rows that are being written
_CHUNK = 1000  # rows read at once to find those whose repository matches a pattern
_HEX = 64  # digits of the shortest digest
_READERS = 10_000  # calls of readers whose row of this hour is known to be on disk
_REMEMBERED = 16 * MIB  # of decisions kept in memory, for the page that a refusal points to


@dataclass
class _Counted:
    event: Event
    last: datetime
    count: int = 1


class StoredJournal:
    """The Journal port on a database. All calls raise Unavailable."""

    def __init__(self, database: Database, *, flush_after: float = _FLUSH_AFTER_S) -> None:
        """Use this database; allowed pulls reach it at most `flush_after` seconds later."""
        self._database = database
        self._flush_after = flush_after
        self._pending: dict[tuple[str, ...], _Counted] = {}
        self._unwritten: dict[str, Decision] = {}
        self._decisions: Bounded[str, Decision] = Bounded(_REMEMBERED, of_decision)
        self._there: Bounded[tuple[str, ...], bool] = Bounded(_READERS)  # rows on disk whose repeats only count
        self._flushing: asyncio.Task[None] | None = None
        self._flush_lock = asyncio.Lock()
        self.trouble: str | None = None  # why allowed pulls are late on disk

    async def record(self, *events: Event) -> None:
        if events:
            await self._database.write(partial(append_rows, events=events))

    async def decided(self, decision: Decision, event: Event, *, keep: bool = True) -> None:
        if keep and event.decision_id != decision.id:
            event = event._replace(decision_id=decision.id)
        await self._counted(event, decision if keep else None)

    async def counted(self, event: Event) -> None:
        await self._counted(event, None)

    async def _counted(self, event: Event, decision: Decision | None) -> None:
        if len(self._pending) >= _FLUSH_AT:
            await self.flush()
        if decision is not None and self._decisions.get(decision.id) is not decision:
            self._keep(decision)
        self._add(event)
        if not may_follow(event) and same_row(event) not in self._there:  # durable before it is answered
            await self.flush()
            if event.kind in FIRST_WAITS:
                self._there[same_row(event)] = True
        elif self.trouble is not None and event.kind in FIRST_WAITS:
            await self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_later())

    async def flush(self) -> None:
        """Put on disk everything that was decided before this call; rows that could not be written wait for the next.

        A caller that arrives during a write waits for it, then writes the rest: denials share commits. So a write
        continues even if its caller goes away: others depend on it.
        """
        if self._pending or self._flush_lock.locked():
            self._database.hurry()
            await asyncio.shield(asyncio.ensure_future(self._flush()))

    async def _flush(self, most: int | None = None) -> None:
        """Write the oldest `most` rows in the bulk lane, or all of them."""
        async with self._flush_lock:
            if not self._pending:
                return
            counted = dict(islice(self._pending.items(), most))
            for key in counted:
                del self._pending[key]
            named = {row.event.decision_id for row in counted.values()} & self._unwritten.keys()
            new = {name: self._unwritten.pop(name) for name in named}
            work = partial(_count, counted=list(counted.values()), new=list(new.values()))
            put_back = lambda done: None if done else self._put_back(counted, new)  # noqa: E731  told whatever happens
            try:
                await self._database.write(work, put_back, bulk=most is not None)
            except Unavailable as error:
                self.trouble = error.what
                raise
            self.trouble = None

    async def decision(self, decision_id: str) -> Decision | None:
        return self._decisions.get(decision_id) or await self._database.read(partial(_decision, which=decision_id))

    async def search(self, search: Search) -> tuple[Event, ...]:
        return tuple(entry.event for entry in (await self.entries(search)).rows)

    async def entries(self, search: Search) -> JournalEntries:
        await self.flush()
        last = await self._database.read(given)
        upto = None if last is None else await self._settled(last)
        # who reads towards newer rows goes on behind the last one that is returned: none may come before it later
        until = upto if search.oldest_first != search.back else last
        return JournalEntries(await self._database.read(partial(_search, search=search, upto=until)), upto)

    async def _settled(self, last: int) -> int:
        """Return up to which position, at most `last`, rows are settled; what is being written now is waited for."""
        for _ in range(_IN_FLIGHT_WAITS):
            upto = await self._database.read(partial(settled, last=last))
            if upto == last:
                break
            await asyncio.sleep(_IN_FLIGHT_S)
        return upto

    async def would_block(self, since: datetime) -> tuple[WouldBlock, ...]:
        """Return images pulled with a warning since then, by repository and reference, the most pulled first."""
        await self.flush()
        return await self._database.read(partial(would_block, since=since))

    async def pulled(self, since: datetime, limit: int, repository: str = "") -> tuple[Pulled, ...]:
        """Return images pulled since then by repository, reference and digest, the newest `limit` of them."""
        await self.flush()
        return await self._database.read(partial(pulled, since=since, limit=limit, repository=repository))

    async def affected(self, by: SignedBy | Within, since: datetime) -> AffectedImages:
        """Return the images that a change affects, with their pulls since then."""
        await self.flush()
        return await self._database.read(partial(affected, by=by, since=since))

    async def signed(self, by: SignedBy, part: Slice, *, only: bool = False) -> tuple[SignedImage, ...]:
        """Return images that these keys have signed, by name; with `only`, those that need them."""
        return await self._database.read(partial(signed, by=by, part=part, only=only))

    async def keep_revision(self, kind: str, revision: str, text: str) -> None:
        await self._database.write(partial(keep_text, kind=kind, revision=revision, body=text))

    async def revision(self, kind: str, revision: str) -> str | None:
        return await self._database.read(partial(_revision, kind=kind, revision=revision))

    async def close(self) -> None:
        """Put all waiting rows on disk, for the last time."""
        try:
            await self.flush()
        finally:
            if self._flushing is not None:
                self._flushing.cancel()
                await asyncio.wait([self._flushing])

    def _keep(self, decision: Decision) -> None:
        if decision.id not in self._decisions:
            self._unwritten[decision.id] = decision
        self._decisions[decision.id] = decision

    def _add(self, event: Event) -> None:
        key = same_row(event)
        row = self._pending.get(key)
        if row is None:
            self._pending[key] = _Counted(event, event.at)
        else:
            row.count += 1
            row.last = max(row.last, event.at)

    def _put_back(self, counted: dict[tuple[str, ...], _Counted], new: dict[str, Decision]) -> None:
        for key, row in counted.items():
            since = self._pending.get(key)
            if since is not None:
                row.count += since.count
                row.last = max(row.last, since.last)
            self._pending[key] = row
        self._unwritten = new | self._unwritten

    async def _flush_later(self) -> None:
        while self._pending or self._flush_lock.locked():  # rows that another flush cannot write come back
            await asyncio.sleep(self._flush_after)
            with suppress(Unavailable):  # `trouble` says so, and the loop tries again
                for _ in range(0, len(self._pending), _BULK):
                    await asyncio.shield(asyncio.ensure_future(self._flush(_BULK)))
        self._flushing = None


@cache
def _counting(dialect: str) -> Insert:
    """Return the INSERT that adds to the count of an existing row."""
    statement = upsert(dialect, journal)
    more = {"count": journal.c.count + statement.excluded.count, "last": statement.excluded.last}
    return statement.on_conflict_do_update(index_elements=[journal.c.tally], set_=more)


def _count(connection: Connection, counted: list[_Counted], new: list[Decision]) -> bool:
    dialect = connection.dialect.name
    tallied = [{"tally": row_key(row.event), "count": row.count, "last": row.last} for row in counted]
    rows = [row_of(row.event) | tally for row, tally in zip(counted, tallied, strict=True)]
    announce(connection)
    connection.execute(_counting(dialect), rows)
    if new:
        kept = [{"id": made.id, "at": made.at, "decision": made} for made in new]
        connection.execute(insert_once(dialect, decisions), kept)
    return True


def _decision(connection: Connection, which: str) -> Decision | None:
    return connection.execute(select(decisions.c.decision).where(decisions.c.id == which)).scalar_one_or_none()


def _search(connection: Connection, search: Search, upto: int | None) -> tuple[JournalEntry, ...]:
    query = select(journal).where(*_conditions(search))
    if upto is not None:
        query = query.where(journal.c.position <= upto)
    pattern = search.repository if "*" in search.repository else "**"
    found, part = list[JournalEntry](), search.part
    while True:
        rows = rows_in(connection, query, [journal.c.position], part, newest_first=not search.oldest_first)
        kept = [JournalEntry(row.position, row.last, event_of(row)) for row in rows if matches(pattern, row.repository)]
        found = kept + found if search.back else found + kept
        if len(found) >= search.limit or len(rows) < part.limit:
            return tuple(found[-search.limit :] if search.back else found[: search.limit])
        part = replace(part, limit=_CHUNK, key=(rows[0 if search.back else -1].position,))


def _conditions(search: Search) -> Iterator[ColumnElement[bool]]:
    rows = journal.c
    if search.kinds:
        yield rows.kind.in_(search.kinds)
    if search.but:
        yield rows.kind.not_in(search.but)
    if "*" in search.repository:
        yield rows.repository != ""
        yield rows.repository.startswith(search.repository.partition("*")[0], autoescape=True)
    elif search.repository:
        yield rows.repository == search.repository
    if search.digest:
        whole = len(search.digest.partition(":")[2]) >= _HEX
        yield rows.digest == search.digest if whole else rows.digest.startswith(search.digest, autoescape=True)
    if search.since is not None:
        yield rows.last >= search.since
    if search.until is not None:
        yield rows.at <= search.until
    if search.who:
        yield rows.who == search.who
    if search.reason:
        yield rows.reason == search.reason
    if search.key:
        detail = type_coerce(rows.detail, Text)
        named = f'"key":"{search.key}', f"/keys/{search.key}"
        yield or_(*(detail.contains(each, autoescape=True) for each in named))


def _revision(connection: Connection, kind: str, revision: str) -> str | None:
    query = select(revisions.c.body).where(revisions.c.kind == kind, revisions.c.revision == revision)
    return connection.execute(query).scalar_one_or_none()
