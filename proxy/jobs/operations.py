"""Operations on jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from proxy.admin.operation import Call, Command, Option, Row, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import OneRepository, Shape, Why, filled
from proxy.admin.wording import Wanted
from proxy.jobs.job import Job, JobState
from proxy.jobs.port import Jobs
from proxy.oci.duration import instant, minute
from proxy.oci.faults import visible
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.registry.ports_in_use import Ports
    from proxy.trust.actor import Actor
    from proxy.trust.allotment import Allotment


Kind = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9 ._-]{0,40}$"), Wanted("write a kind as `countersign jobs list` shows it")
]


class JobsPage(Page, frozen=True):
    """A query for jobs, newest first."""

    state: Annotated[JobState | None, Option(reads="choice")] = Field(
        default=None, description="only jobs in this state"
    )
    kind: Annotated[Kind, Option("KIND")] = Field(default="", description="only jobs of this kind")
    repository: Annotated[OneRepository, Option("NAME")] = Field(
        default="", description="only jobs about this repository"
    )


class JobShown(Shape, frozen=True):
    """A job: long-running work that continues after a restart."""

    id: str
    kind: str
    state: JobState
    repository: str = Field(description="the only repository it is about; empty: not limited to one")
    asked: dict[str, Any] = Field(description="its parameters")
    who: str
    how: str
    reason: str
    created: datetime
    not_before: datetime | None = Field(description="when it is tried again; null: as soon as possible")
    ended: datetime | None
    done: int = Field(description="steps done")
    total: int | None = Field(description="number of steps; null: not counted yet")
    note: str = Field(description="why it waits, or why it failed")
    result: dict[str, Any] = Field(description="its result so far")
    cancel: bool = Field(description="whether it stops at its next step")


class JobsShown(Paged, frozen=True):
    """A page of jobs, newest first."""

    items: tuple[JobShown, ...]


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("ID", "KIND", "STATE", "DONE", "SINCE", "OF", "REPOSITORY", "NOTE"), *map(_row, rows)]


def _row(row: Row) -> tuple[str, ...]:
    done = f"{row['done']}/{'?' if row['total'] is None else row['total']}"
    since, note = minute(row["created"]), visible(str(row["note"]), 60)
    return (row["id"], row["kind"], row["state"], done, since, row["who"], row["repository"], note)


def described(row: Row) -> list[str]:
    """Return the job as lines of text for people."""
    about = {
        "of": f"{row['who']} ({row['how']}) at {minute(row['created'])}: {visible(str(row['reason']), 500)}",
        "to do": ", ".join(f"{name} {value}" for name, value in row["asked"].items()) or "-",
        "in": row["repository"] or "all repositories",
        "done": f"{row['done']} of {'?' if row['total'] is None else row['total']}",
        "ended": minute(row["ended"]) if row["ended"] else "",
        "note": visible(str(row["note"]), 500),
    }
    lines = [f"job {row['id']}: {row['kind']}, {row['state']}"]
    lines += [f"  {name:<8}{value}" for name, value in about.items() if value]
    for name, value in row["result"].items():
        each_on_its_line = value if isinstance(value, list) else [value]
        lines += [f"  {name:<8}{visible(str(each), 500)}" for each in each_on_its_line]
    return lines


async def _repository_asked(call: Call) -> str:
    return str(call.query.repository)


async def _repository_of(call: Call) -> str | None:
    found = await call.use(Jobs).find(call.path_params["id"])
    if found is None:
        return ""
    return None if made_by(found, call.actor) else found.repository


def made_by(job: Job, actor: Actor) -> bool:
    """True if this caller asked for the job."""
    return (job.who, job.how) == (actor.name, actor.authenticated_by)


JOBS = Listing[Job]("jobs", lambda job: (instant(job.created), job.id), (str, str))
_LIST = Command("jobs list", table=_table, rows="items", empty="no job matches")


@operation("GET /jobs", Permission.JOBS, _LIST, about=_repository_asked, query=JobsPage)
async def list_jobs(call: Call) -> JobsShown:
    """List jobs, newest first."""
    page = call.query
    states = () if page.state is None else (page.state,)
    found = await call.use(Jobs).page(states, page.kind, page.repository, JOBS.part(page))
    return JOBS.page(JobsShown, page, found, shown)


@operation("GET /jobs/{id}", Permission.OWN_JOBS, Command("jobs show", described), about=_repository_of)
async def show_job(call: Call) -> JobShown:
    """Show the progress and the result of a job."""
    from proxy.jobs.run import unknown

    found = await call.use(Jobs).find(call.path_params["id"])
    if found is None or not (made_by(found, call.actor) or call.may(Permission.JOBS)):
        raise unknown(call.path_params["id"])
    return shown(found)


@operation("POST /jobs/{id}/cancel", Permission.CHANGE_JOBS, Command("jobs cancel", described), about=_repository_of)
async def cancel_job(call: Call, body: Why) -> JobShown:  # noqa: ARG001  its reason is in the journal
    """Cancel a job at its next step. Completed steps are not undone."""
    from proxy.jobs.run import cancel

    return shown(await cancel(call.path_params["id"], call.use(Jobs), call.ports.clock))


OPERATIONS = (list_jobs, show_job, cancel_job)


def job_room(actor: Actor, ports: Ports) -> Allotment:
    """Return the allotment of waiting jobs of this caller."""
    from proxy.trust.allotment import allotment

    return allotment(ports.limits.jobs, ports.limits.jobs_each, actor.name, actor.rank)


def shown(job: Job) -> JobShown:
    """Return the job in the form of the admin API."""
    return filled(JobShown, job, asked=dict(job.asked), result=dict(job.result))
