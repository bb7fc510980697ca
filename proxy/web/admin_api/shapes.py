"""What several topics of the admin API take and give: requests are checked against it, OpenAPI is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from proxy.trust.admin_token import holds_token


def _no_token(text: str) -> str:
    """Return the text: it is kept and shown, and a token pasted into the wrong place would be too."""
    if holds_token(text):
        raise ValueError("there is an admin token in it, and this is written down for others to read")
    return text


_KEPT = AfterValidator(_no_token)
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"), _KEPT]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$"), _KEPT]


class Page(BaseModel, strict=True, extra="forbid", frozen=True):
    """Which part of a list."""

    limit: int = Field(default=100, ge=1, le=1000, description="rows, at most")
    skip: int = Field(default=0, ge=0, le=1_000_000, description="rows to leave out first; `next` of the page before")


class Why(BaseModel, strict=True, extra="forbid", frozen=True):
    """A reason, for the record."""

    reason: Line = Field(description="why, for the record")


class DryRun(BaseModel, strict=True, extra="forbid", frozen=True):
    """Whether to do it, or only to say what would be done."""

    dry_run: bool = Field(default=False, description="change nothing, and answer with the plan")


class Plan(BaseModel, strict=True, extra="forbid", frozen=True):
    """What would be done, a line a step; nothing was."""

    plan: tuple[str, ...]
    done: Literal[False] = False


class Problem(BaseModel, strict=True, extra="forbid", frozen=True):
    """What went wrong and what to do (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
