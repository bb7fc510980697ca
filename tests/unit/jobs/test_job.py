"""Jobs as values: who may change one, and when it is over."""

from dataclasses import replace
from datetime import timedelta

from proxy.jobs.job import LATER, PATIENCE, TRIES, Job, JobState, called_off, ended, put_off, stepped, taken_up
from tests.worlds.memory import NOON

JOB = Job("0" * 16, "resign", "erika", "admin-token:a", "why", NOON)


def running() -> Job:
    job = taken_up(JOB, NOON)
    assert job is not None
    assert (job.state, job.run, job.tries) == (JobState.RUNNING, 1, 1)
    return job


def test_only_whoever_took_it_up_last_may_go_on_with_it() -> None:
    first = running()
    second = taken_up(first, NOON)
    assert second is not None
    assert second.run == 2
    assert stepped(second, 1, 5, 10, "c", {}) is None
    assert put_off(second, 1, NOON, "x") is None
    assert ended(second, 1, JobState.DONE, NOON, "", {}) is None
    on = stepped(second, 2, 5, 10, "c", {"signed": 5})
    assert on is not None
    assert (on.done, on.total, on.cursor, on.result, on.tries) == (5, 10, "c", {"signed": 5}, 0)


def test_what_is_put_off_waits_and_after_a_week_it_has_failed() -> None:
    later = put_off(running(), 1, NOON, "the token is away")
    assert later is not None
    assert (later.state, later.note) == (JobState.QUEUED, "the token is away")
    assert taken_up(later, NOON + LATER - timedelta(seconds=1)) is None
    assert taken_up(later, NOON + LATER) is not None
    given_up = put_off(running(), 1, NOON + PATIENCE, "the token is away")
    assert given_up is not None
    assert (given_up.state, "given up after 7 days" in given_up.note) == (JobState.FAILED, True)


def test_a_job_that_ends_its_process_again_and_again_has_failed() -> None:
    job: Job | None = JOB
    for _ in range(TRIES):
        assert job is not None
        job = taken_up(job, NOON)
    assert job is not None
    assert job.state is JobState.RUNNING
    job = taken_up(job, NOON)
    assert job is not None
    assert (job.state, job.ended) == (JobState.FAILED, NOON)
    assert taken_up(job, NOON) is None


def test_cancelling_ends_what_waits_and_tells_what_runs() -> None:
    gone = called_off(JOB, NOON)
    assert gone is not None
    assert (gone.state, gone.ended) == (JobState.CANCELLED, NOON)
    assert called_off(gone, NOON) is None
    told = called_off(running(), NOON)
    assert told is not None
    assert (told.state, told.cancel) == (JobState.RUNNING, True)
    left_behind = taken_up(told, NOON)
    assert left_behind is not None
    assert left_behind.state is JobState.CANCELLED
    assert called_off(replace(JOB, state=JobState.DONE), NOON) is None
