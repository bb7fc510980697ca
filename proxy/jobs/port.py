"""The port for stored jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from proxy.jobs.job import Job, JobState
from proxy.journal.event import Event
from proxy.oci.slices import Slice
from proxy.trust.allotment import Allotment


class Jobs(Protocol):
    """Stores long work. All methods raise Unavailable."""

    async def add(self, job: Job, event: Event, room: Allotment | None = None) -> Job:
        """Store a new job and its journal row in one transaction, and return the job; durable on return.

        If the same holder has a queued job with the same parameters, nothing is stored and that job is returned. Raises
        ValueError when the allotment `room` is full (None: no limit).
        """

    async def find(self, job_id: str) -> Job | None:
        """Return the job with this id, or None."""

    async def change(self, job_id: str, change: Callable[[Job], Job | None], *, bulk: bool = False) -> Job | None:
        """Replace the job by the result of `change`, in one transaction, and return the new job.

        Returns None if there is no such job, or if `change` returned None and the job stays unchanged. `bulk`: no
        client waits for it.
        """

    async def next(self, now: datetime, kinds: Collection[str] | None = None, but: Collection[str] = ()) -> Job | None:
        """Return the next job to run: the oldest of these kinds (None: any) but these, not ended and due."""

    async def page(self, states: Collection[JobState], kind: str, repository: str, part: Slice) -> tuple[Job, ...]:
        """Return jobs in these states, of this kind, limited to this repository (empty: any), newest first.

        The key of a job is its creation and its id.
        """
