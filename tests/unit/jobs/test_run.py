"""Long work: taken up, gone on with, put off, cancelled, and on record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from proxy.jobs.job import LATER, Job, JobState
from proxy.jobs.run import Step, Work, cancel, run_next, start
from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from tests.worlds.memory import NOON, FrozenClock, MemoryJobs, MemoryJournal

JOB = Job("", "count", "erika", "admin-token:a", "why", NOON, {"to": 3})


class Counting:
    """Work that counts, and meets what it is told to at a number."""

    def __init__(self, trouble: Mapping[int, Exception] | None = None) -> None:
        self.trouble = dict(trouble or {})
        self.seen: list[int] = []

    async def __call__(self, job: Job, step: Step) -> Mapping[str, Any]:
        for number in range(job.done, job.asked["to"]):
            if number in self.trouble:
                raise self.trouble.pop(number)
            self.seen.append(number)
            await step(number + 1, job.asked["to"], str(number), {"last": number})
        return {"last": job.asked["to"] - 1, "whole": True}


class House:
    """What jobs need."""

    def __init__(self) -> None:
        self.journal, self.clock = MemoryJournal(), FrozenClock()
        self.jobs = MemoryJobs(self.journal)

    async def start(self) -> Job:
        return await start(JOB, self.jobs)

    async def run(self, work: Work) -> bool:
        return await run_next({"count": work}, self.jobs, self.journal, self.clock)

    def job(self, job_id: str) -> Job:
        return self.jobs.rows[job_id]


async def test_a_job_is_done_and_on_record_before_and_after() -> None:
    h, work = House(), Counting()
    assert not await h.run(work)
    job = await h.start()
    assert h.journal.kinds() == [EventKind.JOB_QUEUED]
    assert await h.run(work)
    done = h.job(job.id)
    assert (done.state, done.done, done.total, done.result) == (JobState.DONE, 3, 3, {"last": 2, "whole": True})
    assert h.journal.kinds() == [EventKind.JOB_QUEUED, EventKind.JOB_ENDED]
    last = h.journal.events[-1]
    assert (last.who, last.how, last.detail["state"], last.detail["job"]) == ("erika", "admin-token:a", "done", job.id)
    assert not await h.run(work)


async def test_what_the_world_stops_goes_on_later_from_its_last_step() -> None:
    h, work = House(), Counting({2: Unavailable("the token is away")})
    job = await h.start()
    await h.run(work)
    assert (h.job(job.id).state, h.job(job.id).note) == (JobState.QUEUED, "the token is away")
    assert not await h.run(work), "not at once"
    h.clock.advance(LATER.total_seconds())
    await h.run(work)
    assert h.job(job.id).state is JobState.DONE
    assert work.seen == [0, 1, 2], "no step twice"


@pytest.mark.parametrize("wrong", [Fault("DENIED", "no such profile"), Corrupt("bytes lie")])
async def test_what_cannot_be_done_has_failed_and_says_why(wrong: Exception) -> None:
    h = House()
    job = await h.start()
    await h.run(Counting({1: wrong}))
    failed = h.job(job.id)
    assert (failed.state, failed.note, failed.result) == (JobState.FAILED, str(wrong), {"last": 0})
    assert h.journal.events[-1].detail["note"] == str(wrong)


async def test_a_mistake_of_ours_fails_the_job_and_is_heard_of() -> None:
    h = House()
    job = await h.start()
    with pytest.raises(Fault, match="bug in this program: ZeroDivisionError"):
        await h.run(Counting({1: ZeroDivisionError("oh")}))
    assert h.job(job.id).state is JobState.FAILED
    assert not await h.run(Counting())


async def test_a_running_job_stops_at_its_next_step_when_nobody_wants_it() -> None:
    h = House()
    job = await h.start()

    async def work(job: Job, step: Step) -> Mapping[str, Any]:
        await step(1, 3, "", {"last": 0})
        await cancel(job.id, h.jobs, h.clock)
        await step(2, 3, "", {"last": 1})
        raise AssertionError("it went on")

    await h.run(work)
    gone = h.job(job.id)
    assert (gone.state, gone.done, gone.result) == (JobState.CANCELLED, 2, {"last": 1})
    with pytest.raises(Fault, match="nothing to cancel"):
        await cancel(job.id, h.jobs, h.clock)
    with pytest.raises(Fault, match="no job"):
        await cancel("f" * 16, h.jobs, h.clock)


async def test_a_job_that_another_process_has_taken_over_is_left_to_it() -> None:
    h = House()
    job = await h.start()

    async def work(_job: Job, step: Step) -> Mapping[str, Any]:
        h.jobs.rows[job.id] = taken = h.job(job.id)
        h.jobs.rows[job.id] = type(taken)(**{**taken.__dict__, "run": taken.run + 1})
        await step(1, 3, "", {})
        raise AssertionError("it went on")

    await h.run(work)
    assert (h.job(job.id).state, h.job(job.id).done) == (JobState.RUNNING, 0)


async def test_a_kind_nobody_knows_has_failed() -> None:
    h = House()
    job = await h.start()
    assert await run_next({}, h.jobs, h.journal, h.clock)
    assert "kind count" in h.job(job.id).note


async def test_a_job_that_was_cancelled_while_its_process_was_gone_is_over() -> None:
    h = House()
    job = await h.start()
    h.jobs.rows[job.id] = type(job)(**{**job.__dict__, "state": JobState.RUNNING, "cancel": True})
    h.clock.advance(timedelta(hours=1).total_seconds())
    assert await h.run(Counting())
    assert h.job(job.id).state is JobState.CANCELLED
    assert h.journal.kinds()[-1] is EventKind.JOB_ENDED
