"""Run long work step by step: request, start, resume after an interruption, end; the journal records it.

A table maps each kind of work to a function. The function gets the job and a `Step`, which it calls after each
completed piece of work; `job.cursor`, `done` and `result` hold the progress of an earlier run. After a crash only the
last step may be repeated.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from proxy.jobs import job as jobs_of
from proxy.jobs.job import Job, JobState
from proxy.jobs.port import Jobs
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.faults import Conflict, Corrupt, Fault, NotFound, Unavailable
from proxy.oci.slices import Slice
from proxy.store.clock import Clock
from proxy.trust.allotment import Allotment


class Step(Protocol):
    """Reports the progress of a job."""

    async def __call__(self, done: int, total: int | None, cursor: str, so_far: Mapping[str, Any]) -> None:
        """Store this progress; a later run resumes here. Raises Stop when the job must end now, Unavailable."""


Work = Callable[[Job, Step], Awaitable[Mapping[str, Any]]]
Due = Callable[[datetime], Awaitable[Job | None]]


class Stop(Exception):
    """This run of the job must end: the job was cancelled, or another process has it."""


async def start(job: Job, jobs: Jobs, room: Allotment | None = None) -> Job:
    """Return the new job, stored with its id, or the holder's queued job with the same parameters.

    `room` is the holder's allotment. Raises Fault when it is used up, Unavailable.
    """
    job = replace(job, id=secrets.token_hex(8))
    queued = _event(EventKind.JOB_QUEUED, job, {"asked": dict(job.asked), "reason": job.reason[:500]})
    try:
        return await jobs.add(job, queued, room)
    except ValueError as full:
        raise Conflict(str(full)) from None


async def may_start(job: Job, jobs: Jobs, room: Allotment) -> None:
    """Raise Fault if such a job would be refused: its holder's allotment is used up. Raises Unavailable."""
    waiting = await jobs.page(tuple(jobs_of.WAITING), "", "", Slice(room.together))
    try:
        jobs_of.job_there(job, waiting, room)
    except ValueError as full:
        raise Conflict(str(full)) from None


async def cancel(job_id: str, jobs: Jobs, clock: Clock) -> Job:
    """Return the cancelled job; completed steps are not undone. Raises Fault, Unavailable."""
    gone = await jobs.change(job_id, partial(jobs_of.called_off, now=clock.now()))
    if gone is not None:
        return gone
    found = await jobs.find(job_id)
    if found is None:
        raise unknown(job_id)
    raise Conflict(f"job {job_id} has ended ({found.state}): there is nothing to cancel")


def unknown(job_id: str) -> Fault:
    """Return the Fault for an unknown job."""
    return NotFound(f"no job {job_id!a}; list them with: countersign jobs list")


async def run_next(
    works: Mapping[str, Work], jobs: Jobs, journal: Journal, clock: Clock, due: Due | None = None
) -> bool:
    """Run the next job as far as possible; return False if none is due. `due` finds it, by default among all.

    Raises Unavailable, and Fault if a job failed because of a programming error.

    Only the holder of its lane's lease may call this: a job marked as running was then abandoned by another process.
    """
    waiting = await (due or jobs.next)(clock.now())
    if waiting is None:
        return False
    job = await jobs.change(waiting.id, partial(jobs_of.taken_up, now=clock.now()), bulk=True)
    if job is not None and job.state is JobState.RUNNING:
        await _run(job, works.get(job.kind), jobs, journal, clock)
    elif job is not None:
        await journal.record(_ended(job, clock))
    return True


async def _run(job: Job, work: Work | None, jobs: Jobs, journal: Journal, clock: Clock) -> None:
    result = job.result

    async def step(done: int, total: int | None, cursor: str, so_far: Mapping[str, Any]) -> None:
        nonlocal result
        change = partial(jobs_of.stepped, run=job.run, done=done, total=total, cursor=cursor, result=so_far)
        now = await jobs.change(job.id, change, bulk=True)
        result = so_far
        if now is None or now.cancel:
            raise Stop

    if work is None:
        await _end(job, JobState.FAILED, f"this version has no jobs of kind {job.kind}", result, jobs, journal, clock)
        return
    attempt = asyncio.ensure_future(work(job, step))
    try:
        await asyncio.wait([attempt])
    # the lease is lost or the server is stopping: another process resumes after the last step
    except asyncio.CancelledError:
        attempt.cancel()
        await asyncio.wait([attempt])
        raise
    failure = asyncio.CancelledError() if attempt.cancelled() else attempt.exception()
    if failure is None:
        await _end(job, JobState.DONE, "", attempt.result(), jobs, journal, clock)
    elif isinstance(failure, Stop):
        await _end(job, JobState.CANCELLED, "cancelled while it ran", result, jobs, journal, clock)
    elif isinstance(failure, Unavailable):
        later = partial(jobs_of.put_off, run=job.run, now=clock.now(), why=failure.what[:500])
        await jobs.change(job.id, later, bulk=True)
    else:
        why = failure.message if isinstance(failure, Fault) else str(failure) or type(failure).__name__
        await _end(job, JobState.FAILED, why[:500], result, jobs, journal, clock)
        if not isinstance(failure, Fault | Corrupt):
            raise Fault("UNKNOWN", f"job {job.id} ({job.kind}) hit a bug in this program: {failure!r}") from failure


async def _end(
    job: Job, state: JobState, note: str, result: Mapping[str, Any], jobs: Jobs, journal: Journal, clock: Clock
) -> None:
    change = partial(jobs_of.ended, run=job.run, state=state, now=clock.now(), note=note, result=result)
    if (done := await jobs.change(job.id, change, bulk=True)) is not None:
        await journal.record(_ended(done, clock))


def _ended(job: Job, clock: Clock) -> Event:
    detail = {"state": job.state.value, "done": job.done, "note": job.note, "result": dict(job.result)}
    return _event(EventKind.JOB_ENDED, job, detail)._replace(at=clock.now())


def _event(kind: EventKind, job: Job, detail: Mapping[str, Any]) -> Event:
    about = {"job": job.id, "kind": job.kind, **detail}
    return Event(
        job.created, kind, job.who, job.how, repository=job.repository, request_id=f"job-{job.id}", detail=about
    )
