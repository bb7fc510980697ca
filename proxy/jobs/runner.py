"""Run jobs in the background, in one process at a time: the lease holder; another takes over when the lease ends."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Mapping

from proxy.jobs.port import Jobs
from proxy.jobs.run import Work, run_next
from proxy.oci.faults import Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.store.shared import Lease, Leases

LEASE = "jobs"
HELD_S = 15.0  # seconds before another process takes over from a killed holder
RENEW_S = 4.0
LOOK_S = 1.0  # most seconds before a new job starts


class JobRunner:
    """Runs the jobs of one process. After a cancellation, the next runner resumes after the last completed step."""

    def __init__(self, works: Mapping[str, Work], jobs: Jobs, leases: Leases, ports: Ports, *, sole: bool) -> None:
        """`works` has a function for every kind of job; `sole`: no other server shares the store."""
        self._works = works
        self._jobs = jobs
        self._leases = leases
        self._journal = ports.journal
        self._clock = ports.clock
        # A sole server reuses its holder name, so it need not wait for the lease of its killed predecessor.
        self._holder = "the only server" if sole else f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Run all due jobs, unless another process does. Raises Unavailable, Fault if a job has a bug."""
        if await self._jobs.next(self._clock.now()) is None:  # this check needs no commit
            return
        lease = await self._leases.acquire(LEASE, self._holder, HELD_S)
        if lease is None:
            return
        running, keeping = asyncio.create_task(self._all()), asyncio.create_task(self._keep(lease))
        try:
            await asyncio.wait([running, keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, keeping):
                task.cancel()
            await asyncio.wait([running, keeping])
            await self._leases.release(lease)
        if not running.cancelled() and (failed := running.exception()) is not None:
            raise failed

    async def _all(self) -> None:
        while await run_next(self._works, self._jobs, self._journal, self._clock):
            pass

    async def _keep(self, lease: Lease) -> None:
        """Return when the lease is lost or cannot be renewed: the jobs must then stop."""
        held: Lease | None = lease
        while held is not None:
            await asyncio.sleep(RENEW_S)
            try:
                held = await self._leases.renew(lease, HELD_S)
            except Unavailable:
                return
