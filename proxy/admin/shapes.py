"""Types shared by several topics of the admin API: requests are validated against them, OpenAPI is built from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from unicodedata import normalize

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field, StringConstraints

from proxy.admin.approval import ApprovalState
from proxy.admin.problem_codes import CODES
from proxy.admin.wording import Wanted
from proxy.oci.faults import Fault, visible
from proxy.oci.image_name import host_of, parse_name
from proxy.oci.reference import parse_digest, parse_repository
from proxy.trust.names import ALLOWED, NAME, holds_token, name_refusal
from proxy.trust.pattern import check_pattern

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


def _valid(check: Callable[[str], object]) -> AfterValidator:
    """Return the validator of texts that this function takes without a Fault or ValueError."""

    def checked(text: str) -> str:
        try:
            check(text)
        except Fault as wrong:
            raise ValueError(wrong.message if wrong.reason else "") from None  # its `Wanted` says what is right
        except ValueError:
            raise ValueError from None
        return text

    return AfterValidator(checked)


def _our_days(at: datetime) -> datetime:
    """Return the time. Raises ValueError for one of the last century: a year alone is read as seconds since 1970."""
    if at.year < 2000:
        raise ValueError("before the year 2000")
    return at


_KEPT = AfterValidator(_no_token)
_LINE = Wanted("write one line of at most 500 characters, none of them a control character")
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"), _KEPT, _LINE]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=80, pattern=f"^{NAME}$"), AfterValidator(_own), _KEPT,
    BeforeValidator(lambda name: normalize("NFC", name) if isinstance(name, str) else name), Wanted(f"write {ALLOWED}"),
]  # fmt: skip
Moment = Annotated[
    AwareDatetime, AfterValidator(_our_days), Wanted("write a time with its zone, such as 2027-01-31T08:00:00Z")
]
OneRepository = Annotated[
    str, StringConstraints(max_length=255), _valid(lambda text: text and parse_repository(text)),
    Wanted("write the name of one repository, such as team/app, without a host and without a tag"),
]  # fmt: skip
Repositories = Annotated[
    str, StringConstraints(min_length=1, max_length=255), _valid(check_pattern),
    Wanted("write a repository such as team/app, or a pattern such as team/**: * is any part of a name, ** any parts"),
]  # fmt: skip
DECISION_ID = re.compile(r"[A-Za-z0-9_-]{16}")
Explained = Annotated[
    Line, _valid(lambda text: DECISION_ID.fullmatch(text) or parse_name(text, (host_of(text),))),
    Wanted("write an image, such as team/app:1, or the id of a decision, as the text of an error names it"),
]  # fmt: skip
DigestText = Annotated[
    str, _valid(parse_digest),
    Wanted("write a digest: sha256: and 64 hex digits, as `countersign verify REPO:TAG` shows it"),
]  # fmt: skip
ImageName = Annotated[
    Line, _valid(lambda text: parse_name(text, (host_of(text),))),
    Wanted("write an image, such as team/app:1 or team/app@sha256:..."),
]  # fmt: skip


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


class Shape(BaseModel, strict=True, extra="forbid", frozen=True, defer_build=True):
    """A body, query or answer. Its validator is built at first use: a command line rarely needs it."""


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
    return visible(", ".join((*row["pulled_by"], *([f"{more} more"] if more > 0 else []))) or "nobody", 160)


class Nothing(Shape, frozen=True):
    """The empty query: parameters such as `dry_run` are refused instead of ignored."""


class DryRun(Shape, frozen=True):
    """A query that can select a dry run."""

    dry_run: bool = Field(default=False, description="change nothing; respond with the plan")


class ImageNamed(Shape, frozen=True):
    """An image that a change affects."""

    repository: str
    digest: str
    tags: tuple[str, ...] = Field(description="up to three of its tags")
    pulls: int = Field(description="how often it was pulled within `days`")


class Affected(Shape, frozen=True):
    """The images that a change affects, by our ledger and our journal."""

    what: str = Field(description="which images are counted")
    days: int = Field(description="how many days back pulls are counted")
    images: int | None = Field(default=None, description="null: they could not be counted, see `not_counted`")
    repositories: int = Field(default=0, description="how many repositories they are in")
    pulled: int = Field(default=0, description="how many of them were pulled within `days`")
    callers: int = Field(default=0, description="how many callers pulled them")
    by: tuple[str, ...] = Field(default=(), description="up to five of the callers, those with the most pulls")
    named: tuple[ImageNamed, ...] = Field(default=(), description="up to five of the images, the most pulled first")
    more: bool = Field(default=False, description="true if there are more than are counted")
    blocked: bool = Field(default=False, description="true if `pulled` and `by` are of pulls that policy blocked, too")
    unknown: str = Field(description="what the counts do not include")
    not_counted: str = Field(default="", description="why nothing was counted: the change is then no harmless one")
    listed_by: str = Field(default="", description="the command that lists all of them, if there is one")


class Plan(Shape, frozen=True):
    """The plan of a call, one line per step. Nothing has been done."""

    plan: tuple[str, ...]
    affects: Affected | None = Field(default=None, description="the images it affects; null: it affects none itself")
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

    type: str = Field(description="the place in the documents that describes the code")
    code: str = Field(description="stable; what a program reads", json_schema_extra={"enum": list(CODES)})
    title: str
    status: int
    detail: str = Field(description="what is wrong, and what to do")
    request_id: str
