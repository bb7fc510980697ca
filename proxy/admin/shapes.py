"""Types shared by several topics of the admin API: requests are validated against them, OpenAPI is built from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from proxy.admin.approval import ApprovalState
from proxy.oci.faults import Fault, Invalid, plain
from proxy.oci.reference import parse_repository
from proxy.trust.names import NAME, holds_token, name_refusal
from proxy.trust.pattern import check_pattern

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def _no_token(text: str) -> str:
    """Return the text. Raises ValueError if it holds a token: the text is stored and shown, so the token would leak."""
    if holds_token(text):
        raise ValueError("it contains an admin token, and others will be able to read this text")
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
    """A page of a list."""

    limit: int = Field(default=100, ge=1, le=1000, description="maximum number of rows")
    skip: int = Field(default=0, ge=0, le=1_000_000, description="rows to skip; `next` of the previous page")


Next = Annotated[int | None, Field(description="`skip` of the next page; null on the last")]


def page_of(rows: Sequence[T], page: Page) -> tuple[Sequence[T], int | None]:
    """Return the requested page of an in-memory list, and the `skip` of the next page (None: no more)."""
    end = page.skip + page.limit
    return rows[page.skip : end], end if end < len(rows) else None


def page_read(rows: Sequence[T], page: Page) -> tuple[Sequence[T], int | None]:
    """Return the requested page of rows that were read from `skip` on, one more than its limit, and the next `skip`."""
    return rows[: page.limit], page.skip + page.limit if len(rows) > page.limit else None


def filled(shape: type[M], of: object, **apart: Any) -> M:
    """Return the shape with its fields from the attributes of the same names, but for those given here."""
    return shape(**{name: getattr(of, name) for name in shape.model_fields if name not in apart}, **apart)


class Why(Shape, frozen=True):
    """A reason, for the record."""

    reason: Line = Field(description="the reason, recorded in the journal")


class PulledBy(Shape, frozen=True):
    """Who pulled an image."""

    pulled_by: tuple[str, ...] = Field(description="the latest callers, at most 5; without a proven name, the address")
    callers: int = Field(description="number of callers; all without a proven name are one")


def pulled_by(row: Mapping[str, Any]) -> str:
    """Return who pulled an image, for people."""
    more = row["callers"] - len(row["pulled_by"])
    return plain(", ".join((*row["pulled_by"], *([f"{more} more"] if more > 0 else []))) or "nobody", 160)


class Nothing(Shape, frozen=True):
    """The empty query: parameters such as `dry_run` are refused instead of ignored."""


class DryRun(Shape, frozen=True):
    """A query that can select a dry run."""

    dry_run: bool = Field(default=False, description="change nothing; respond with the plan")


class Plan(Shape, frozen=True):
    """The plan of a call, one line per step. Nothing has been done."""

    plan: tuple[str, ...]
    done: Literal[False] = False


class ApprovalShown(Shape, frozen=True):
    """A call that needs a second person, pending or decided."""

    id: str
    state: ApprovalState = Field(description="approved: the server stopped while executing the call")
    call: str = Field(description="name of the call")
    places: dict[str, str] = Field(description="its path parameters")
    given: dict[str, Any] = Field(description="its body")
    plan: tuple[str, ...] = Field(description="its plan at the time of the request")
    who: str
    how: str
    created: datetime
    expires: datetime = Field(description="when the request expires")
    decided_by: str = Field(description="who decided, and how that person authenticated; empty: undecided")
    decided: datetime | None
    note: str = Field(description="why it was rejected, or why it failed")
    request_id: str = Field(description="the request id of its rows in the journal")


class Held(Shape, frozen=True):
    """Nothing has been done: a second person must approve first (`admin.dual_control`)."""

    approval: ApprovalShown
    done: Literal[False] = False


class Problem(Shape, frozen=True):
    """The problem and its remedy (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
