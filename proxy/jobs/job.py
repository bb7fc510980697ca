"""Long work as a value: who asked for it, how far it is, what came of it. Every change is a function of the job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from proxy.trust.allotment import Allotment
from proxy.trust.names import same_name

LATER = timedelta(seconds=30)  # until what could not go on is tried again
PATIENCE = timedelta(days=7)  # since it was asked for; then it has failed
TRIES = 5  # times it may be cut off by the end of its process without a step done in between


class JobState(StrEnum):
    """Where a job stands. What is queued or running goes on by itself, also after a crash; the rest has ended."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True)
class Job:
    """One piece of long work.

    `asked` is what its kind was asked to do, `repository` the only one it is about (empty: not bound to one). `done` of
    `total` steps (None: not counted yet); the work goes on behind `cursor`, in words of its own. `run` counts who took
    it up: a process that was given up writes nothing more. `note` says why it waits or what it failed of.
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
    """Return the one that waits for the same, asked for by the same holder, or None. Raises ValueError.

    `waiting` are all that are not over; `room` is what the holder may have of them, None where that is not bounded.
    """
    there = tuple(waiting)
    wanted = (job.kind, same_name(job.who), job.how, dict(job.asked), job.repository)
    for each in there:
        same = wanted == (each.kind, same_name(each.who), each.how, dict(each.asked), each.repository)
        if same and each.state is JobState.QUEUED and not each.cancel:
            return each
    if room is not None:
        what, mend = "jobs that wait", "wait for them, or cancel some: countersign jobs list"
        if why := room.refusal((each.who for each in there), what, mend):
            raise ValueError(why)
    return None


def taken_up(job: Job, now: datetime) -> Job | None:
    """Return the job as whoever takes it up has it; None where it is over, or not to be taken up yet."""
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
    """Return the job one step further; None where somebody else has it, or it is over."""
    if job.state is not JobState.RUNNING or job.run != run:
        return None
    return replace(job, done=done, total=total, cursor=cursor, result=result, tries=0)


def put_off(job: Job, run: int, now: datetime, why: str) -> Job | None:
    """Return the job to be tried again later; failed once that has gone on for too long. None where it is not ours."""
    if job.state is not JobState.RUNNING or job.run != run:
        return None
    if now - job.created >= PATIENCE:
        return over(job, JobState.FAILED, now, f"given up after {PATIENCE.days} days: {why}")
    return replace(job, state=JobState.QUEUED, not_before=now + LATER, note=why, tries=0)


def ended(job: Job, run: int, state: JobState, now: datetime, note: str, result: Mapping[str, Any]) -> Job | None:
    """Return the job as it ended; None where somebody else has it, or it is over."""
    if job.state is not JobState.RUNNING or job.run != run:
        return None
    return over(replace(job, result=result), state, now, note)


def called_off(job: Job, now: datetime) -> Job | None:
    """Return the job that somebody wants no more: over when nobody runs it, told to stop when somebody does."""
    if job.state not in WAITING:
        return None
    if job.state is JobState.QUEUED:
        return over(replace(job, cancel=True), JobState.CANCELLED, now, "cancelled before it went on")
    return replace(job, cancel=True)


def over(job: Job, state: JobState, now: datetime, note: str) -> Job:
    """Return the job in a state it does not leave."""
    return replace(job, state=state, ended=now, not_before=None, note=note)
