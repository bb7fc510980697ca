"""The routes about jobs, and what they take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import OneRepository, Page
from proxy.jobs.job import JobState
from proxy.trust.roles import Permission


class JobsPage(Page, strict=True, extra="forbid", frozen=True):
    """Which jobs, newest first."""

    state: JobState | None = Field(default=None, description="jobs in this state only")
    kind: str = Field(default="", max_length=40, description="jobs of this kind only")
    repository: OneRepository = Field(default="", description="jobs about this repository alone")


class JobShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A job: long work that goes on by itself, also after a restart."""

    id: str
    kind: str
    state: JobState
    repository: str = Field(description="the only one it is about; empty: not bound to one")
    asked: dict[str, Any] = Field(description="what it is to do")
    who: str
    how: str
    reason: str
    created: datetime
    not_before: datetime | None = Field(description="when it is tried again; null: as soon as may be")
    ended: datetime | None
    done: int = Field(description="steps done")
    total: int | None = Field(description="steps there are; null: not counted yet")
    note: str = Field(description="why it waits, or what it failed of")
    result: dict[str, Any] = Field(description="what came of it so far")
    cancel: bool = Field(description="whether it was told to stop at its next step")


class JobsShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of jobs, newest first."""

    items: tuple[JobShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


ROUTES: tuple[Route, ...] = (
    Route(
        "list_jobs", "GET", f"{ROOT}/jobs", Permission.JOBS, "Long work, newest first.", JobsShown, JobsPage,
        scope=Scope.ONE,
    ),
    Route(
        "show_job", "GET", f"{ROOT}/jobs/{{id}}", Permission.JOBS, "How far a job is, what came of it.", JobShown,
        scope=Scope.ONE,
    ),
    Route(
        "cancel_job", "POST", f"{ROOT}/jobs/{{id}}/cancel", Permission.CHANGE_JOBS,
        "Stop a job at its next step; what it did is done.", JobShown, scope=Scope.ONE,
    ),
)  # fmt: skip
