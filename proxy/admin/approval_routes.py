"""Routes for calls that wait for a second person, with their request and response types."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from proxy.admin.approval import ApprovalState
from proxy.admin.operation import ROOT, Route
from proxy.admin.shapes import ApprovalShown, Page, Why
from proxy.trust.roles import Permission


class ApprovalsPage(Page, strict=True, extra="forbid", frozen=True):
    """Which requests, newest first."""

    state: ApprovalState | None = Field(default=None, description="requests in this state only")


class ApprovalsShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of requests, newest first."""

    items: tuple[ApprovalShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class Approved(BaseModel, strict=True, extra="forbid", frozen=True):
    """What came of a request that was agreed to."""

    approval: ApprovalShown
    result: dict[str, Any] = Field(description="what the call would have been answered")
    done: Literal[True] = True


ROUTES: tuple[Route, ...] = (
    Route(
        "list_approvals", "GET", f"{ROOT}/approvals", Permission.JOURNAL,
        "Calls that wait for a second person, or did.", ApprovalsShown, ApprovalsPage,
    ),
    Route(
        "show_approval", "GET", f"{ROOT}/approvals/{{id}}", Permission.JOURNAL,
        "One of them, with what was asked.", ApprovalShown,
    ),
    Route(
        "approve", "POST", f"{ROOT}/approvals/{{id}}/approve", Permission.APPROVE,
        "Agree to what somebody else asked for; it is done at once.", Approved, body=Why, plans=True,
    ),
    Route(
        "reject", "POST", f"{ROOT}/approvals/{{id}}/reject", Permission.APPROVE,
        "Turn down what somebody asked for, or take back what one asked for oneself.", ApprovalShown, body=Why,
    ),
)  # fmt: skip
