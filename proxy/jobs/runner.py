"""Run jobs in the background, each lane on one server at a time: the holder of its lease; then another takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from proxy.jobs.job import Lane
from proxy.jobs.periodic import Periodic
from proxy.jobs.port import Jobs
from proxy.jobs.run import Due, Work, run_next
from proxy.registry.ports_in_use import Ports
from proxy.store.shared import Leases

LOOK_S = 1.0  # most seconds before a new job starts
Lanes = Mapping[str, tuple[Lane, Work]]


def lease_of(lane: Lane) -> str:
    """Return the name of the lease of this lane."""
    return f"jobs {lane}"


class JobRunner:
    """Runs the jobs of one process. After a cancellation, the next runner resumes after the last completed step."""

    def __init__(self, works: Lanes, jobs: Jobs, leases: Leases, ports: Ports) -> None:
        """`works` has the lane and the function of each kind of job."""
        self._works = works
        self._jobs = jobs
        self._leases = leases
        self._journal = ports.journal
        self._clock = ports.clock

    def every(self, seconds: float, periodic: Periodic) -> None:
        """Run each lane for as long as this process runs, without regard to the others."""
        for lane in sorted({Lane.MAINTENANCE, *(lane for lane, _ in self._works.values())}):
            periodic.every(seconds, f"jobs: {lane}", partial(self.run, lane))

    async def run(self, lane: Lane) -> None:
        """Run all due jobs of this lane, unless another process does. Raises Unavailable, Fault if a job has a bug."""
        works = {kind: work for kind, (its, work) in self._works.items() if its is lane}
        elsewhere = sorted(self._works.keys() - works.keys())
        kinds = None if lane is Lane.MAINTENANCE else sorted(works)  # here, what only another version knows is refused
        due = partial(self._jobs.next, kinds=kinds, but=elsewhere)
        if await due(self._clock.now()) is None:  # this check needs no commit
            return
        async with self._leases.held(lease_of(lane)) as lost:
            if lost is not None:
                await _until(lost, asyncio.create_task(self._all(works, due)))

    async def _all(self, works: Mapping[str, Work], due: Due) -> None:
        while await run_next(works, self._jobs, self._journal, self._clock, due):
            pass


async def _until(lost: asyncio.Event, running: asyncio.Task[None]) -> None:
    """Return when the work is done, or its lease is lost: the jobs have then stopped. Raises what the work raises."""
    losing = asyncio.create_task(lost.wait())
    try:
        await asyncio.wait([running, losing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (running, losing):
            task.cancel()
        await asyncio.wait([running, losing])
    if not running.cancelled():
        running.result()
