"""What the admin API takes and gives, as types: requests are checked against them, the OpenAPI page is made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from proxy.trust.admin_token import NAME, holds_token, name_refusal
from proxy.trust.event import Kind
from proxy.trust.keys import KeyState
from proxy.trust.roles import Role


def _no_token(text: str) -> str:
    """Return the text: it is kept and shown, and a token pasted into the wrong place would be too."""
    if holds_token(text):
        raise ValueError("there is an admin token in it, and this is written down for others to read")
    return text


def _own(name: str) -> str:
    """Return the name, unless it is one that the journal uses for somebody else."""
    if (why := name_refusal(name)) is not None:
        raise ValueError(why)
    return name


_KEPT = AfterValidator(_no_token)
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"), _KEPT]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=f"^{NAME}$"), AfterValidator(_own), _KEPT]


class Page(BaseModel, strict=True, extra="forbid", frozen=True):
    """Which part of a list."""

    limit: int = Field(default=100, ge=1, le=1000, description="rows, at most")
    skip: int = Field(default=0, ge=0, le=1_000_000, description="rows to leave out first; `next` of the page before")


class JournalPage(Page, strict=True, extra="forbid", frozen=True):
    """Which rows of the journal, newest first. Rows that are added meanwhile may show some twice, and hide none."""

    kind: Kind | None = Field(default=None, description="rows of this kind only")
    repository: str = Field(default="", max_length=255, description="rows about this repository only")
    digest: str = Field(default="", max_length=200, description="rows about this digest only")
    since: AwareDatetime | None = Field(
        default=None, description="rows since this moment only, such as 2027-01-31T00:00:00Z"
    )


class Why(BaseModel, strict=True, extra="forbid", frozen=True):
    """A reason, for the record."""

    reason: Line = Field(description="why, for the record")


class Compromise(Why, strict=True, extra="forbid", frozen=True):
    """A key is in other hands, or may be."""

    rotate: bool = Field(default=False, description="where it is active: first let another key sign")


class SignWish(Why, strict=True, extra="forbid", frozen=True):
    """An image to sign that is upstream already."""

    ref: Line = Field(description="repo[:tag|@digest]")


class TokenWish(BaseModel, strict=True, extra="forbid", frozen=True):
    """A token to make."""

    name: Name = Field(description="whom or what it is for, as the journal will show it")
    roles: tuple[Role, ...] = Field(min_length=1, max_length=len(Role), description="what it may do")
    valid_days: int = Field(default=90, ge=1, le=366, description="days until it expires")


class KeyShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key of ours."""

    fingerprint: str = Field(description="hex SHA-256 of its SubjectPublicKeyInfo")
    profile: str
    state: KeyState
    since: datetime = Field(description="when it came into this state")
    compromised_since: datetime | None
    algorithm: str
    token: str
    token_serial: str
    key_id: str = Field(description="hex CKA_ID on the token")
    label: str


class Keys(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of keys."""

    items: tuple[KeyShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class Rotation(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a rotation came to."""

    old: KeyShown | None = Field(description="the key that signed before; it verifies on")
    new: KeyShown = Field(description="the key that signs from now on")


class TokenShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A token, without its secret: that is kept nowhere."""

    id: str
    name: str
    roles: tuple[Role, ...]
    valid: bool
    created: datetime
    expires: datetime
    revoked: datetime | None
    by: str


class TokenMade(TokenShown, strict=True, extra="forbid", frozen=True):
    """A new token."""

    token: str = Field(repr=False, description="the token itself; shown this once")


class Tokens(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of tokens, oldest first."""

    items: tuple[TokenShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class JournalRow(BaseModel, strict=True, extra="forbid", frozen=True):
    """One row of the journal (docs/events.md)."""

    at: datetime
    kind: Kind
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


class KeyStatus(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key, in short."""

    profile: str
    state: KeyState
    algorithm: str
    since: datetime


class Trouble(BaseModel, strict=True, extra="forbid", frozen=True):
    """Something that does not work."""

    what: str
    since: str = Field(default="", description="since when; empty where that is not known")
    stops: str = Field(description="what does not work for as long")
    next: str = Field(description="the next command")


class Status(BaseModel, strict=True, extra="forbid", frozen=True):
    """Whether everything works."""

    name: str
    url: str
    started: datetime
    pid: int
    policy_revision: str
    key_revision: str
    keys: tuple[KeyStatus, ...]
    problems: tuple[Trouble, ...]


class Reloaded(BaseModel, strict=True, extra="forbid", frozen=True):
    """What reading the configuration again came to."""

    reloaded: bool
    why: str | None = Field(description="why it was refused; what was in force before still is")


class SignatureShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """One signature that was made."""

    digest: str
    format: str
    bound: str
    key: str


class SignedShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """What was signed."""

    digest: str
    signatures: tuple[SignatureShown, ...]


class Problem(BaseModel, strict=True, extra="forbid", frozen=True):
    """What went wrong and what to do (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
