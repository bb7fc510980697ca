"""Jobs, stored in a table with their parameters, progress and results."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial

from sqlalchemy import Boolean, Column, ColumnElement, Connection, Index, Table, Text, func, insert, or_, select, update

from proxy.jobs.job import WAITING, Job, JobState, job_there
from proxy.journal.event import Event
from proxy.journal.rows import append_rows
from proxy.oci.slices import Slice
from proxy.store.database import Database
from proxy.store.tables import BIG, Chosen, Instant, Json, metadata, rows_in, value_of, values_of
from proxy.trust.allotment import Allotment

Change = Callable[[Job], Job | None]
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("kind", "who", "how", "reason")),
    Column("created", Instant, nullable=False),
    Column("asked", Json(write=dict), nullable=False),
    Column("repository", Text, nullable=False),
    Column("state", Chosen(JobState), nullable=False),
    Column("not_before", Instant),
    Column("ended", Instant),
    *(Column(name, BIG, nullable=False) for name in ("run", "tries", "done")),
    Column("total", BIG),
    Column("cursor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("result", Json(write=dict), nullable=False),
    Column("cancel", Boolean, nullable=False),
    Index("jobs_by_state", "state", "created"),
)


class StoredJobs:
    """The Jobs port on a database. All calls raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database
        self._changes = 0
        # Questions for a due job that found none: after which change, and when one of the waiting jobs is due.
        self._none_due: dict[tuple[frozenset[str] | None, frozenset[str]], tuple[int, datetime | None]] = {}

    async def add(self, job: Job, event: Event, room: Allotment | None = None) -> Job:
        return await self._database.write(partial(_add, job=job, event=event, room=room), self._changed)

    async def find(self, job_id: str) -> Job | None:
        return await self._database.read(partial(_find, job_id=job_id))

    async def change(self, job_id: str, change: Change, *, bulk: bool = False) -> Job | None:
        return await self._database.write(partial(_change, job_id=job_id, change=change), self._changed, bulk=bulk)

    async def next(self, now: datetime, kinds: Collection[str] | None = None, but: Collection[str] = ()) -> Job | None:
        if not self._database.sole:
            return await self._database.read(partial(_next, now=now, kinds=kinds, but=but))
        # No other process changes jobs, so an idle server asks the database once and not every second.
        asked = None if kinds is None else frozenset(kinds), frozenset(but)
        changes, due = self._none_due.get(asked, (-1, None))
        if changes == self._changes and (due is None or now < due):
            return None
        changes = self._changes
        found, due = await self._database.read(partial(_next_or_due, now=now, kinds=kinds, but=but))
        if found is None:
            self._none_due[asked] = changes, due
        return found

    def _changed(self, _result: object) -> None:
        self._changes += 1

    async def page(self, states: Collection[JobState], kind: str, repository: str, part: Slice) -> tuple[Job, ...]:
        return await self._database.read(
            partial(_page, states=tuple(states), kind=kind, repository=repository, part=part)
        )


def _add(connection: Connection, job: Job, event: Event, room: Allotment | None) -> Job:
    waits = select(jobs).where(jobs.c.state.in_(WAITING))
    there = job_there(job, (value_of(Job, row) for row in connection.execute(waits)), room)
    if there is None:
        append_rows(connection, (event,))
        connection.execute(insert(jobs).values(values_of(job)))
    return there or job


def _find(connection: Connection, job_id: str, *, lock: bool = False) -> Job | None:
    query = select(jobs).where(jobs.c.id == job_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else value_of(Job, row)


def _change(connection: Connection, job_id: str, change: Change) -> Job | None:
    there = _find(connection, job_id, lock=True)
    wanted = None if there is None else change(there)
    if wanted is not None:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values_of(wanted)))
    return wanted


def _next(connection: Connection, now: datetime, kinds: Collection[str] | None, but: Collection[str]) -> Job | None:
    due = or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now)
    query = select(jobs).where(*_waiting(kinds, but), due).order_by(jobs.c.created, jobs.c.id).limit(1)
    row = connection.execute(query).first()
    return None if row is None else value_of(Job, row)


def _next_or_due(
    connection: Connection, now: datetime, kinds: Collection[str] | None, but: Collection[str]
) -> tuple[Job | None, datetime | None]:
    """Return the next job, and if there is none, when the first of the waiting ones is due (None: none waits)."""
    if (found := _next(connection, now, kinds, but)) is not None:
        return found, None
    return None, connection.execute(select(func.min(jobs.c.not_before)).where(*_waiting(kinds, but))).scalar()


def _waiting(kinds: Collection[str] | None, but: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    waiting = jobs.c.state.in_(WAITING), jobs.c.kind.not_in(but)
    return waiting if kinds is None else (*waiting, jobs.c.kind.in_(kinds))


def _page(
    connection: Connection, states: tuple[JobState, ...], kind: str, repository: str, part: Slice
) -> tuple[Job, ...]:
    query = select(jobs)
    if states:
        query = query.where(jobs.c.state.in_(states))
    if kind:
        query = query.where(jobs.c.kind == kind)
    if repository:
        query = query.where(jobs.c.repository == repository)
    rows = rows_in(connection, query, (jobs.c.created, jobs.c.id), part)
    return tuple(value_of(Job, row) for row in rows)
