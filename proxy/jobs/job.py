"""Long work as a value: its requester, progress and result. Every change is a function of the job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from proxy.trust.allotment import Allotment
from proxy.trust.names import same_name

LATER = timedelta(seconds=30)  # delay before a postponed job is tried again
PATIENCE = timedelta(days=7)  # counted from the request; after that the job has failed
TRIES = 5  # most runs that may end with their process without completing a step


class Lane(StrEnum):
    """Jobs of one lane run one after the other, on one server at a time; no lane waits for another."""

    SIGNING = "signing"
    SWEEP = "sweep"
    SCAN = "scan"
    MAINTENANCE = "maintenance"


class JobState(StrEnum):
    """The state of a job. Queued and running jobs continue, also after a crash; the other states are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True)
class Job:
    """One piece of long work.

    `asked` holds the parameters of the job, `repository` the only one it is about (empty: not limited to one). `done`
    counts steps of `total` (None: not counted yet); work continues after `cursor`, whose format each kind defines.
    `run` counts the runs, so that a process that lost the job writes nothing more. `note` is the reason for waiting or
    failing.
    """

    id: str
    kind: str
    who: str
    how: str
    reason: str
    created: datetime
    asked: Mapping[str, Any] = field(default_factory=dict)
    repository: str = ""
    state: JobState = JobState.QUEUED
    not_before: datetime | None = None
    ended: datetime | None = None
    run: int = 0
    tries: int = 0
    done: int = 0
    total: int | None = None
    cursor: str = ""
    note: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    cancel: bool = False


def job_there(job: Job, waiting: Iterable[Job], room: Allotment | None) -> Job | None:
    """Return the same holder's queued job with the same parameters, or None. Raises ValueError: allotment full.

    `waiting` holds all jobs that have not ended; `room` is the holder's allotment of them, None: no limit.
    """
    there = tuple(waiting)
    wanted = (job.kind, same_name(job.who), job.how, dict(job.asked), job.repository)
    for each in there:
        same = wanted == (each.kind, same_name(each.who), each.how, dict(each.asked), each.repository)
        if same and each.state is JobState.QUEUED and not each.cancel:
            return each
    if room is not None:
        what, remedy = "jobs that wait", "wait for them, or cancel some: countersign jobs list"
        if why := room.refusal((each.who for each in there), what, remedy):
            raise ValueError(why)
    return None


def taken_up(job: Job, now: datetime) -> Job | None:
    """Return the job as its next run starts, or ended if it cannot run; None if it has ended or is not due yet."""
    if job.state not in WAITING or (job.not_before is not None and now < job.not_before):
        return None
    if job.cancel:
        return over(job, JobState.CANCELLED, now, "cancelled before it went on")
    if job.tries >= TRIES:
        return over(
            job, JobState.FAILED, now, f"the server ended {TRIES} times while it ran: {job.note or 'no step done'}"
        )
    return replace(job, state=JobState.RUNNING, run=job.run + 1, tries=job.tries + 1, not_before=None, note="")


def stepped(job: Job, run: int, done: int, total: int | None, cursor: str, result: Mapping[str, Any]) -> Job | None:
    """Return the job one step further; None if another process has it or it has ended."""
    if job.state is not JobState.RUNNING or job.run != run:
        return None
    return replace(job, done=done, total=total, cursor=cursor, result=result, tries=0)


def put_off(job: Job, run: int, now: datetime, why: str) -> Job | None:
    """Return the job queued for later, or failed after too long a time; None if it is not this run's."""
    if job.state is not JobState.RUNNING or job.run != run:
        return None
    if now - job.created >= PATIENCE:
        return over(job, JobState.FAILED, now, f"given up after {PATIENCE.days} days: {why}")
    return replace(job, state=JobState.QUEUED, not_before=now + LATER, note=why, tries=0)


def ended(job: Job, run: int, state: JobState, now: datetime, note: str, result: Mapping[str, Any]) -> Job | None:
    """Return the job as ended; None if another process has it or it has ended already."""
    if job.state is not JobState.RUNNING or job.run != run:
        return None
    return over(replace(job, result=result), state, now, note)


def called_off(job: Job, now: datetime) -> Job | None:
    """Return the cancelled job: ended if it is queued, told to stop if it is running; None if it has ended already."""
    if job.state not in WAITING:
        return None
    if job.state is JobState.QUEUED:
        return over(replace(job, cancel=True), JobState.CANCELLED, now, "cancelled before it went on")
    return replace(job, cancel=True)


def over(job: Job, state: JobState, now: datetime, note: str) -> Job:
    """Return the job in a final state."""
    return replace(job, state=state, ended=now, not_before=None, note=note)
