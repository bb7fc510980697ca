"""The routes about admin tokens, and what they take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from proxy.admin.operation import ROOT, Route
from proxy.admin.shapes import Name, Page, Repositories
from proxy.trust.roles import Permission, Role


class NewToken(BaseModel, strict=True, extra="forbid", frozen=True):
    """A token to make."""

    name: Name = Field(description="whom or what it is for, as the journal will show it")
    roles: tuple[Role, ...] = Field(min_length=1, max_length=len(Role), description="what it may do")
    repositories: tuple[Repositories, ...] = Field(
        default=(), max_length=32, description="patterns of those it is for; none: all, and what is about none"
    )
    valid_days: int = Field(default=90, ge=1, le=366, description="days until it expires")
    fingerprint: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{12}:[0-9a-f]{64}$",
        description="of a token that its holder drafted (countersign tokens draft), which the answer then is without",
    )


class TokenShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A token, without its secret: that is kept nowhere."""

    id: str
    name: str
    roles: tuple[Role, ...]
    repositories: tuple[str, ...] = Field(description="patterns of those it is for; none: all, and what is about none")
    valid: bool
    created: datetime
    expires: datetime
    revoked: datetime | None
    by: str
    agreed_by: str = Field(description="the second person, where one had to agree that it is made")


class TokenMade(TokenShown, strict=True, extra="forbid", frozen=True):
    """A new token."""

    token: str = Field(repr=False, description="the token itself, shown this once; empty: its holder drafted it")


class Tokens(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of tokens, oldest first."""

    items: tuple[TokenShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


ROUTES: tuple[Route, ...] = (
    Route(
        "list_tokens", "GET", f"{ROOT}/tokens", Permission.TOKENS,
        "Every admin token there was, oldest first.", Tokens, Page,
    ),
    Route(
        "create_token", "POST", f"{ROOT}/tokens", Permission.CHANGE_TOKENS,
        "Make an admin token; the answer is the only place it is ever shown.", TokenMade, body=NewToken, status=201,
        plans=True, dual_control=True,
    ),
    Route(
        "revoke_token", "DELETE", f"{ROOT}/tokens/{{id}}", Permission.CHANGE_TOKENS,
        "End an admin token for good.", TokenShown,
    ),
)  # fmt: skip
