"""The routes about exceptions, and what they take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import Line, Page, Why
from proxy.trust.roles import Permission


class NewException(Why, strict=True, extra="forbid", frozen=True):
    """What to let through, and for how long."""

    repository: Line = Field(description="a repository; a policy-admin may give a pattern")
    digest: Line | None = Field(default=None, description="this image only; null: everything in the repository")
    allow_unsigned_push: bool = Field(
        default=False, description="accept pushes there too that cannot be signed because a token is away"
    )
    seconds: int = Field(ge=60, le=366 * 86400, description="how long it is open; the bounds are in `limits`")


class ExceptionShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """An exception."""

    id: str
    repository: str
    digest: str | None
    unsigned_push: bool
    reason: str
    by: str
    how: str
    opened: datetime
    until: datetime
    open: bool
    closed: datetime | None
    closed_by: str
    reviewed: datetime | None
    reviewed_by: str
    review: str
    offline: bool = Field(description="made on the host, without a server")


class Exceptions(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of exceptions, oldest first: all that wait for review, and the latest of those that were reviewed."""

    items: tuple[ExceptionShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class UnsignedShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A manifest that was accepted without a signature."""

    repository: str
    digest: str
    tag: str | None
    exception: str
    who: str
    at: datetime
    settled: datetime | None = Field(description="when it was signed, or found to be gone")
    note: str


class Unsigned(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of them, newest first."""

    items: tuple[UnsignedShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


ROUTES: tuple[Route, ...] = (
    Route(
        "list_unsigned", "GET", f"{ROOT}/exceptions/unsigned", Permission.STATUS,
        "What was pushed without a signature under an exception.", Unsigned, Page, scope=Scope.LIST,
    ),
    Route(
        "list_exceptions", "GET", f"{ROOT}/exceptions", Permission.STATUS, "Exceptions, open and over.",
        Exceptions, Page, scope=Scope.LIST,
    ),
    Route(
        "open_exception", "POST", f"{ROOT}/exceptions", Permission.EXCEPT,
        "Let through what is blocked, for a scope and a time.", ExceptionShown, body=NewException, status=201,
        plans=True, scope=Scope.ONE,
    ),
    Route(
        "close_exception", "POST", f"{ROOT}/exceptions/{{id}}/close", Permission.EXCEPT,
        "End an exception before its time.", ExceptionShown, body=Why, scope=Scope.ONE,
    ),
    Route(
        "review_exception", "POST", f"{ROOT}/exceptions/{{id}}/review", Permission.REVIEW,
        "Say what became of an exception that has ended; the reason is what was found.", ExceptionShown, body=Why,
        scope=Scope.ONE,
    ),
)  # fmt: skip
