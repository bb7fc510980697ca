"""The route to the journal, its parameters and its response."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import Page
from proxy.journal.event import EventKind
from proxy.trust.roles import Permission


class JournalPage(Page, strict=True, extra="forbid", frozen=True):
    """Which rows of the journal, newest first. Rows that are added meanwhile may show some twice, and hide none."""

    kind: EventKind | None = Field(default=None, description="rows of this kind only")
    repository: str = Field(default="", max_length=255, description="rows about this repository only")
    digest: str = Field(default="", max_length=200, description="rows about this digest only")
    since: AwareDatetime | None = Field(
        default=None, description="rows since this moment only, such as 2027-01-31T00:00:00Z"
    )


class JournalRow(BaseModel, strict=True, extra="forbid", frozen=True):
    """One row of the journal (docs/events.md)."""

    at: datetime
    kind: EventKind
    who: str
    how: str
    repository: str
    reference: str
    digest: str
    reason: str
    decision_id: str
    request_id: str
    policy_revision: str
    key_revision: str
    detail: dict[str, Any]


class Rows(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of the journal, newest first."""

    items: tuple[JournalRow, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


ROUTES: tuple[Route, ...] = (
    Route(
        "journal", "GET", f"{ROOT}/journal", Permission.JOURNAL, "What happened.", Rows, JournalPage, scope=Scope.ONE
    ),
)
