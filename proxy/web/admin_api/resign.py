"""The route about signing again, and what it takes."""

from __future__ import annotations

from pydantic import Field

from proxy.trust.roles import Permission
from proxy.web.admin_api.jobs import JobShown
from proxy.web.admin_api.route import ROOT, Route, Scope
from proxy.web.admin_api.shapes import OneRepository, Why


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
