"""Jobs, as the store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from proxy.jobs.job import Job, JobState
from proxy.journal.event import Event
from proxy.trust.allotment import Allotment


class Jobs(Protocol):
    """Long work. All calls raise Unavailable."""

    async def add(self, job: Job, event: Event, room: Allotment | None = None) -> Job:
        """Keep a new job and its row of the journal, in one transaction, and return it; durable on return.

        Where one of the same holder waits for the same already, nothing is kept and that one is returned. Raises
        ValueError when there is no room for it (None: there always is).
        """

    async def find(self, job_id: str) -> Job | None:
        """Return the job of this id, or None."""

    async def change(self, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
        """Put what `change` makes of the job in its place, in one transaction, and return it.

        None where there is no such job, or `change` returned None: then it is as it was.
        """

    async def next(self, now: datetime) -> Job | None:
        """Return the job that is to go on first: not over, not put off, the oldest."""

    async def page(
        self, states: Collection[JobState], kind: str, repository: str, limit: int, skip: int
    ) -> tuple[Job, ...]:
        """Return jobs in these states, of this kind, about this repository alone (empty: any), newest first."""
