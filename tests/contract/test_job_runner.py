"""The runner of jobs: one process at a time in each lane, and another goes on where the last one was."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from proxy.jobs.job import Job, JobState, Lane
from proxy.jobs.run import Step, start
from proxy.jobs.runner import JobRunner, lease_of
from proxy.oci.slices import Slice
from proxy.registry.ports_in_use import Ports
from proxy.store import shared
from proxy.store.shared import HELD_S, Leases, StoredLeases
from tests.contract.conftest import AnyStore, Record
from tests.worlds.memory import NOON, FrozenClock, MemoryLeases

SLOWLY = Lane.MAINTENANCE


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


def another_server(store: AnyStore, clock: FrozenClock) -> Leases:
    """The same leases, as another process has them."""
    leases = store.leases
    if isinstance(leases, MemoryLeases):
        other = MemoryLeases(clock)
        other._rows = leases._rows
        return other
    assert isinstance(leases, StoredLeases)
    leases._database.sole = False
    return StoredLeases(leases._database, clock)


def runner(store: AnyStore, clock: FrozenClock, work: Slow, other: Slow | None = None) -> JobRunner:
    """The runner of a server; `other` is what it does in another lane."""
    works = {"slow": (Lane.MAINTENANCE, work), "quick": (Lane.SIGNING, other or work)}
    leases = another_server(store, clock)
    return JobRunner(works, store.jobs, leases, cast("Ports", Beside(store.journal, clock)))


async def job(store: AnyStore, kind: str = "slow", number: int = 0) -> Job:
    return await start(Job("", kind, "erika", "socket", "why", NOON, {"number": number}), store.jobs)


async def state(store: AnyStore, which: Job) -> tuple[JobState, int]:
    found = await store.jobs.find(which.id)
    assert found is not None
    return found.state, found.done


async def test_one_process_runs_jobs_and_the_next_goes_on_where_it_was(store: AnyStore, clock: FrozenClock) -> None:
    work = Slow()
    one, other = runner(store, clock, work), runner(store, clock, work)
    this = await job(store)
    first = asyncio.create_task(one.run(SLOWLY))
    await work.waiting.wait()
    await other.run(SLOWLY)
    assert work.steps == [], "the other one leaves it alone"
    work.waiting.clear()
    work.go.release()
    await work.waiting.wait()
    first.cancel()
    await asyncio.wait([first])
    assert await state(store, this) == (JobState.RUNNING, 1)
    work.go.release()
    work.go.release()
    await other.run(SLOWLY)
    assert work.steps == [0, 1, 2]
    assert await state(store, this) == (JobState.DONE, 3)


async def test_whoever_was_killed_holds_jobs_up_for_seconds(store: AnyStore, clock: FrozenClock) -> None:
    work = Slow()
    this = await job(store)
    assert await store.leases.acquire(lease_of(SLOWLY), "somebody who was killed", HELD_S) is not None
    for _ in range(3):
        work.go.release()
    await runner(store, clock, work).run(SLOWLY)
    assert await state(store, this) == (JobState.QUEUED, 0)
    clock.advance(HELD_S)
    await runner(store, clock, work).run(SLOWLY)
    assert await state(store, this) == (JobState.DONE, 3)


async def test_whoever_lost_the_lease_stops(
    store: AnyStore, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RENEW_S", 0.01)
    work = Slow()
    this = await job(store)
    running = asyncio.create_task(runner(store, clock, work).run(SLOWLY))
    await work.waiting.wait()
    clock.advance(HELD_S)
    assert await store.leases.acquire(lease_of(SLOWLY), "another", HELD_S) is not None
    await asyncio.wait_for(running, 5)
    assert await state(store, this) == (JobState.RUNNING, 0)
    assert work.steps == []


async def test_a_long_job_in_one_lane_holds_up_no_other(store: AnyStore, clock: FrozenClock) -> None:
    slow, quick = Slow(), Slow()
    server = runner(store, clock, slow, quick)
    await job(store)
    running = asyncio.create_task(server.run(SLOWLY))
    await slow.waiting.wait()
    this = await job(store, "quick")
    for _ in range(3):
        quick.go.release()
    await asyncio.wait_for(server.run(Lane.SIGNING), 5)
    assert await state(store, this) == (JobState.DONE, 3)
    assert slow.steps == []
    running.cancel()
    await asyncio.wait([running])


async def test_two_servers_run_one_job_of_a_lane_at_once_and_two_of_two_lanes(
    store: AnyStore, clock: FrozenClock
) -> None:
    slow, quick = Slow(), Slow()
    servers = [runner(store, clock, slow, quick) for _ in range(2)]
    for number, kind in enumerate(("slow", "slow", "quick")):
        await job(store, kind, number)
    running = [asyncio.create_task(server.run(lane)) for server in servers for lane in (SLOWLY, Lane.SIGNING)]
    await asyncio.gather(slow.waiting.wait(), quick.waiting.wait())
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for _ in range(20):
        await asyncio.sleep(0.01)
    states = [each.state for each in await store.jobs.page((), "slow", "", Slice(9))]
    assert sorted(states) == [JobState.QUEUED, JobState.RUNNING]
    assert sum(not task.done() for task in running) == 2
    for work, steps in ((slow, 6), (quick, 3)):
        for _ in range(steps):
            work.go.release()
    await asyncio.wait_for(asyncio.gather(*running), 5)
    assert {each.state for each in await store.jobs.page((), "", "", Slice(9))} == {JobState.DONE}


async def test_a_kind_that_this_version_does_not_know_fails_in_one_lane(store: AnyStore, clock: FrozenClock) -> None:
    server, this = runner(store, clock, Slow()), await job(store, "of another version")
    await server.run(Lane.SIGNING)
    assert await state(store, this) == (JobState.QUEUED, 0)
    await server.run(Lane.MAINTENANCE)
    assert await state(store, this) == (JobState.FAILED, 0)
