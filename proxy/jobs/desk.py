"""What the routes about jobs do."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from proxy.admin.dispatch import Acting, Holder, Topic
from proxy.jobs import routes as shapes
from proxy.jobs import run as jobs_of
from proxy.jobs.job import Job
from proxy.jobs.port import Jobs
from proxy.registry.ports_in_use import Ports
from proxy.trust.allotment import Allotment, allotment, rank_of


class JobDesk:
    """One method for each route; each raises Fault or Unavailable with words for whoever called."""

    def __init__(self, ports: Callable[[], Ports], jobs: Jobs) -> None:
        """`ports` returns the one in force."""
        self._ports = ports
        self._jobs = jobs

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
        return Topic(
            {"list_jobs": self._list, "show_job": self._show, "cancel_job": self._cancel},
            about={"list_jobs": self._asked_of, "show_job": self._job_of, "cancel_job": self._job_of},
        )

    async def _asked_of(self, acting: Acting) -> str:
        return cast("shapes.JobsPage", acting.query).repository

    async def _job_of(self, acting: Acting) -> str:
        found = await self._jobs.find(acting.path_params["id"])
        return "" if found is None else found.repository

    async def _list(self, acting: Acting) -> shapes.JobsShown:
        page = cast("shapes.JobsPage", acting.query)
        states = () if page.state is None else (page.state,)
        found = await self._jobs.page(states, page.kind, page.repository, page.limit + 1, page.skip)
        after = page.skip + page.limit if len(found) > page.limit else None
        return shapes.JobsShown(items=tuple(shown(job) for job in found[: page.limit]), next=after)

    async def _show(self, acting: Acting) -> shapes.JobShown:
        found = await self._jobs.find(acting.path_params["id"])
        if found is None:
            raise jobs_of.unknown(acting.path_params["id"])
        return shown(found)

    async def _cancel(self, acting: Acting) -> shapes.JobShown:
        return shown(await jobs_of.cancel(acting.path_params["id"], self._jobs, self._ports().clock))


def job_room(holder: Holder, ports: Ports) -> Allotment:
    """Return how many jobs this holder may have waiting."""
    limits = ports.limits
    return allotment(limits.jobs, limits.jobs_each, holder.who, rank_of(holder.roles, holder.repositories))


def shown(job: Job) -> shapes.JobShown:
    """Return the job as the admin API shows it."""
    told = {name: getattr(job, name) for name in shapes.JobShown.model_fields}
    return shapes.JobShown(**{**told, "asked": dict(job.asked), "result": dict(job.result)})
