"""The routes about denials, and what they take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import Line, Page, Why
from proxy.trust.roles import Permission


class NewDenial(Why, strict=True, extra="forbid", frozen=True):
    """What to deny."""

    target: Line = Field(description="a digest, denied wherever it is, or a repository pattern")
    until: AwareDatetime | None = Field(default=None, description="when it ends by itself; null: never")


class DenialShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A denial."""

    id: str
    target: str
    reason: str
    by: str
    at: datetime
    until: datetime | None
    in_force: bool


class Denials(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of denials, oldest first."""

    items: tuple[DenialShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


ROUTES: tuple[Route, ...] = (
    Route(
        "list_denials", "GET", f"{ROOT}/denials", Permission.STATUS, "Digests and repositories that are denied.",
        Denials, Page, scope=Scope.LIST,
    ),
    Route(
        "add_denial", "POST", f"{ROOT}/denials", Permission.DENY,
        "Deny a digest or repositories, whatever signed it and whatever exception is open.",
        DenialShown, body=NewDenial, status=201, plans=True, scope=Scope.ONE,
    ),
    Route(
        "remove_denial", "POST", f"{ROOT}/denials/{{id}}/remove", Permission.DENY,
        "Take a denial back: policy alone decides again.", DenialShown, body=Why, plans=True,
        scope=Scope.ONE,
    ),
)  # fmt: skip
