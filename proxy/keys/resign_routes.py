"""The route about signing again, with its request type."""

from __future__ import annotations

from pydantic import Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import OneRepository, Why
from proxy.jobs.operations import JobShown
from proxy.trust.roles import Permission


class Resign(Why, strict=True, extra="forbid", frozen=True):
    """What to sign again."""

    repository: OneRepository = Field(default="", description="in this repository alone; empty: in all")


ROUTES: tuple[Route, ...] = (
    Route(
        "resign", "POST", f"{ROOT}/keys/{{profile}}/resign", Permission.CHANGE_JOBS,
        "Sign again, in a job, what keys of this profile signed, with the one that is active now.", JobShown,
        body=Resign, status=202, plans=True, scope=Scope.ONE,
    ),
)  # fmt: skip
