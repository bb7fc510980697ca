"""The runner of jobs: one process at a time, and another goes on where the last one was."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from proxy.jobs import runner as job_runner
from proxy.jobs.job import Job, JobState
from proxy.jobs.run import Step, start
from proxy.jobs.runner import HELD_S, LEASE, JobRunner
from proxy.registry.ports_in_use import Ports
from tests.contract.conftest import AnyStore, Record
from tests.worlds.memory import NOON, FrozenClock


class Slow:
    """Work of three steps that waits before each until it is let on."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.waiting = asyncio.Event()
        self.go = asyncio.Semaphore(0)

    async def __call__(self, job: Job, step: Step) -> Mapping[str, Any]:
        for number in range(job.done, 3):
            self.waiting.set()
            await self.go.acquire()
            self.steps.append(number)
            await step(number + 1, 3, "", {})
        return {}


@dataclass
class Beside:
    """What of a house jobs need."""

    journal: Record
    clock: FrozenClock


def runner(store: AnyStore, clock: FrozenClock, work: Slow) -> JobRunner:
    return JobRunner({"slow": work}, store.jobs, store.leases, cast("Ports", Beside(store.journal, clock)), sole=False)


async def job(store: AnyStore) -> Job:
    return await start(Job("", "slow", "erika", "socket", "why", NOON), store.jobs)


async def state(store: AnyStore, which: Job) -> tuple[JobState, int]:
    found = await store.jobs.find(which.id)
    assert found is not None
    return found.state, found.done


async def test_one_process_runs_jobs_and_the_next_goes_on_where_it_was(store: AnyStore, clock: FrozenClock) -> None:
    work = Slow()
    one, other = runner(store, clock, work), runner(store, clock, work)
    this = await job(store)
    first = asyncio.create_task(one.run())
    await work.waiting.wait()
    await other.run()
    assert work.steps == [], "the other one leaves it alone"
    work.waiting.clear()
    work.go.release()
    await work.waiting.wait()
    first.cancel()
    await asyncio.wait([first])
    assert await state(store, this) == (JobState.RUNNING, 1)
    work.go.release()
    work.go.release()
    await other.run()
    assert work.steps == [0, 1, 2]
    assert await state(store, this) == (JobState.DONE, 3)


async def test_whoever_was_killed_holds_jobs_up_for_seconds(store: AnyStore, clock: FrozenClock) -> None:
    work = Slow()
    this = await job(store)
    assert await store.leases.acquire(LEASE, "somebody who was killed", HELD_S) is not None
    for _ in range(3):
        work.go.release()
    await runner(store, clock, work).run()
    assert await state(store, this) == (JobState.QUEUED, 0)
    clock.advance(HELD_S)
    await runner(store, clock, work).run()
    assert await state(store, this) == (JobState.DONE, 3)


async def test_whoever_lost_the_lease_stops(
    store: AnyStore, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "RENEW_S", 0.01)
    work = Slow()
    this = await job(store)
    running = asyncio.create_task(runner(store, clock, work).run())
    await work.waiting.wait()
    clock.advance(HELD_S)
    assert await store.leases.acquire(LEASE, "another", HELD_S) is not None
    await asyncio.wait_for(running, 5)
    assert await state(store, this) == (JobState.RUNNING, 0)
    assert work.steps == []
