"""Types shared by several topics of the admin API: requests are validated against them, OpenAPI is built from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from proxy.admin.approval import ApprovalState
from proxy.oci.faults import Fault, Invalid
from proxy.oci.reference import parse_repository
from proxy.trust.names import NAME, holds_token, name_refusal
from proxy.trust.pattern import check_pattern

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def _no_token(text: str) -> str:
    """Return the text. Raises ValueError if it holds a token: the text is stored and shown, so the token would leak."""
    if holds_token(text):
        raise ValueError("there is an admin token in it, and this is written down for others to read")
    return text


def _own(name: str) -> str:
    """Return the name. Raises ValueError for a name that the journal reserves."""
    if (why := name_refusal(name)) is not None:
        raise ValueError(why)
    return name


_KEPT = AfterValidator(_no_token)
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"), _KEPT]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=f"^{NAME}$"), AfterValidator(_own), _KEPT]


def _repository(text: str) -> str:
    """Return the text: the name of a repository, or empty for none in particular. Raises ValueError."""
    try:
        return parse_repository(text) if text else text
    except Fault as wrong:
        raise ValueError(wrong.message) from None


OneRepository = Annotated[str, StringConstraints(max_length=255), AfterValidator(_repository)]


Repositories = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(check_pattern)]


NOT_KEPT = object()  # marks a field too long for the journal: its hash is journaled instead


def kept(body: BaseModel) -> dict[str, object]:
    """Return the form of a body that the journal keeps."""
    long = [name for name, field in type(body).model_fields.items() if any(m is NOT_KEPT for m in field.metadata)]
    told: dict[str, object] = body.model_dump(mode="json", exclude_unset=True)
    for name in long:
        if isinstance(text := told.get(name), str):
            told[name] = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return told


def one_repository(pattern: str) -> str:
    """Return the repository if the pattern matches exactly one, else "": several need a caller for all repositories."""
    return "" if "*" in pattern else pattern


def pattern_in(text: str) -> str:
    """Return the valid pattern. Raises Fault."""
    try:
        return check_pattern(text)
    except ValueError as wrong:
        raise Invalid(f"{text[:80]!a} is neither a digest nor a repository pattern; {wrong}") from None


class Shape(BaseModel, strict=True, extra="forbid", frozen=True, defer_build=True):
    """A body, query or answer. Its validator is built at first use: a command line rarely needs it."""


class Page(Shape, frozen=True):
    """Which part of a list."""

    limit: int = Field(default=100, ge=1, le=1000, description="rows, at most")
    skip: int = Field(default=0, ge=0, le=1_000_000, description="rows to leave out first; `next` of the page before")


def page_of(rows: Sequence[T], page: Page) -> tuple[Sequence[T], int | None]:
    """Return the requested page of an in-memory list, and the `skip` of the next page (None: no more)."""
    end = page.skip + page.limit
    return rows[page.skip : end], end if end < len(rows) else None


def filled(shape: type[M], of: object, **apart: Any) -> M:
    """Return the shape with its fields from the attributes of the same names, but for those given here."""
    return shape(**{name: getattr(of, name) for name in shape.model_fields if name not in apart}, **apart)


class Why(Shape, frozen=True):
    """A reason, for the record."""

    reason: Line = Field(description="why, for the record")


class Nothing(Shape, frozen=True):
    """The query of a call that has none: what it would not heed, such as `dry_run`, is refused and not overlooked."""


class DryRun(Shape, frozen=True):
    """Whether to do it, or only to say what would be done."""

    dry_run: bool = Field(default=False, description="change nothing, and answer with the plan")


class Plan(Shape, frozen=True):
    """What would be done, a line a step; nothing was."""

    plan: tuple[str, ...]
    done: Literal[False] = False


class ApprovalShown(Shape, frozen=True):
    """A call that waits for a second person, or did."""

    id: str
    state: ApprovalState = Field(description="approved and no more: the server ended while it was being done")
    call: str = Field(description="the call by its name")
    places: dict[str, str] = Field(description="what was filled into its path")
    given: dict[str, Any] = Field(description="what was given with it")
    plan: tuple[str, ...] = Field(description="what it would have done when it was asked for")
    who: str
    how: str
    created: datetime
    expires: datetime = Field(description="when it is too late to agree")
    decided_by: str = Field(description="who decided, and how we know; empty: nobody yet")
    decided: datetime | None
    note: str = Field(description="why it was turned down, or what it failed of")
    request_id: str = Field(description="that of the rows in the journal which it led to")


class Held(Shape, frozen=True):
    """Nothing was done: somebody else has to agree first (`admin.dual_control`)."""

    approval: ApprovalShown
    done: Literal[False] = False


class Problem(Shape, frozen=True):
    """What went wrong and what to do (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
