"""Jobs go on in the background: in one process at a time, whoever holds the lease; another takes over when it ends."""

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
from proxy.store.lease import Lease, Leases

LEASE = "jobs"
HELD_S = 15.0  # how long nobody takes over after the holder was killed
RENEW_S = 4.0
LOOK_S = 1.0  # how soon a job is taken up


class JobRunner:
    """What one process does for jobs. Cancelled between two steps, whoever comes next goes on from the last one."""

    def __init__(self, works: Mapping[str, Work], jobs: Jobs, leases: Leases, ports: Ports, *, sole: bool) -> None:
        """`works` has a function for every kind of job; `sole`: no other server shares the store."""
        self._works = works
        self._jobs = jobs
        self._leases = leases
        self._journal = ports.journal
        self._clock = ports.clock
        # Where there is only one, whoever was killed before was the same one, and nothing is waited for.
        self._holder = "the only server" if sole else f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Run the jobs there are, unless another process does. Raises Unavailable, Fault of a job that we got wrong."""
        if await self._jobs.next(self._clock.now()) is None:  # looking costs no commit
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
        """Return when the lease is lost or cannot be renewed: then nothing more may be done."""
        held: Lease | None = lease
        while held is not None:
            await asyncio.sleep(RENEW_S)
            try:
                held = await self._leases.renew(lease, HELD_S)
            except Unavailable:
                return
