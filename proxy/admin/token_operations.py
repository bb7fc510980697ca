"""Operations on tokens of the admin API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from proxy.admin.approval import agrees, short_of_two
from proxy.admin.operation import Argument, Call, Command, Option, Row, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.ports import AdminTokens, KnownPeople
from proxy.admin.shapes import Name, Repositories, Shape, filled
from proxy.admin.token import SECRET_BYTES, AdminToken, expiry_reason, hashed, id_of, render, token_refusal
from proxy.admin.wording import Wanted
from proxy.oci.duration import instant, minute
from proxy.oci.faults import Conflict, Forbidden, NotFound, quoted
from proxy.trust.allotment import Allotment, allotment
from proxy.trust.roles import Permission, Role, beyond

Drafted = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{12}:[0-9a-f]{64}$"),
    Wanted("write the fingerprint that `countersign tokens draft` printed for its holder: ID:SHA256"),
]  # fmt: skip


class NewToken(Shape, frozen=True):
    """The request for a new token."""

    name: Annotated[Name, Argument("NAME")] = Field(description="its user, as the journal shows it")
    roles: Annotated[tuple[Role, ...], Option(reads="several", spelled="--role")] = Field(
        min_length=1, max_length=len(Role), description="its role; repeatable"
    )
    repositories: Annotated[tuple[Repositories, ...], Option("PATTERN", "several", "--repository")] = Field(
        default=(), max_length=32, description="only these repositories, such as team/**; repeatable"
    )
    valid_days: Annotated[int, Option(reads="number", spelled="--days")] = Field(
        default=90, ge=1, le=366, description="days until it expires"
    )
    fingerprint: Annotated[Drafted | None, Option("ID:SHA256")] = Field(
        default=None, description="fingerprint of a token that its holder drafted"
    )


class TokenShown(Shape, frozen=True):
    """A token, without its secret, which is not stored."""

    id: str
    name: str
    roles: tuple[Role, ...]
    repositories: tuple[str, ...] = Field(description="patterns of its repositories; empty: all, and calls about none")
    valid: bool
    created: datetime
    expires: datetime
    revoked: datetime | None
    by: str
    agreed_by: str = Field(description="the second person, if its creation needed one")


class TokenMade(TokenShown, frozen=True):
    """A new token."""

    token: str = Field(repr=False, description="the token, shown only now; empty: its holder drafted it")


class Tokens(Paged, frozen=True):
    """A page of tokens, oldest first."""

    items: tuple[TokenShown, ...]


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("ID", "NAME", "ROLES", "FOR", "STATE", "UNTIL", "MADE BY", "AGREED BY"), *map(_row, rows)]


def _row(row: Row) -> tuple[str, ...]:
    state = "valid" if row["valid"] else "revoked" if row["revoked"] else "expired"
    scope, ends = ",".join(row["repositories"]) or "everything", minute(row["revoked"] or row["expires"])
    return (row["id"], row["name"], ",".join(row["roles"]), scope, state, ends, row["by"], row["agreed_by"] or "-")


_TOKENS = Listing[AdminToken]("tokens", lambda token: (instant(token.created), token.id), (str, str))
_LIST = Command(
    "tokens list", table=_table, rows="items",
    empty="no admin tokens; make one: countersign tokens create NAME --role ROLE",
)  # fmt: skip


@operation("GET /tokens", Permission.TOKENS, _LIST, query=Page)
async def list_tokens(call: Call) -> Tokens:
    """List all admin tokens ever made: name, roles, expiry."""
    made = await call.use(AdminTokens).all()
    return _TOKENS.of(Tokens, call.query, made, lambda token: _shown(token, call.now))


async def _plan_create(call: Call) -> tuple[str, ...]:
    token, _ = await _drawn_up(call)
    if why := token_refusal(token, await call.use(AdminTokens).all(), _room(call)):
        raise Conflict(why)
    scope, days = ", ".join(token.repositories) or "all repositories", call.body.valid_days
    made = f"make a token {quoted(token.name)} with {', '.join(token.roles)} for {scope}, for {days} days"
    if call.body.fingerprint is not None:
        return (made, f"its holder drafted it, {call.body.fingerprint[:29]}...: confirm that with the holder")
    return (made, "show it once, in the response to this call")


async def _alone(call: Call) -> bool:
    """True for a token that cannot approve; also, on the host, while fewer than two people could approve."""
    body = call.body
    if body.repositories or not agrees(body.roles):
        return True
    return call.actor.on_the_host and short_of_two(body.roles, await _known(call))


async def _known(call: Call) -> list[tuple[str, tuple[Role, ...]]]:
    """Return those who could approve: valid tokens that count as a person, and people with a certificate."""
    tokens = [each for each in await call.use(AdminTokens).all() if each.counts and not each.repositories]
    valid = [(each.name, each.roles) for each in tokens if expiry_reason(each, call.now) is None]
    return valid + [(person.name, person.roles) for person in call.use(KnownPeople)() if not person.repositories]


def _made(row: Row) -> list[str]:
    return [row["token"] or f"token {row['id']} ({row['name']}) is valid until {minute(row['expires'])}"]


def _made_aside(row: Row) -> list[str]:
    said = f"token {row['id']} until {minute(row['expires'])}; this is the only time it is shown:"
    return [said] if row["token"] else []


@operation(
    "POST /tokens", Permission.CHANGE_TOKENS, Command("tokens create", _made, aside=_made_aside, asks=False),
    plan=_plan_create, status=201, alone=_alone,
)  # fmt: skip
async def create_token(call: Call, body: NewToken) -> TokenMade:  # noqa: ARG001  read by `_drawn_up`
    """Make an admin token and show it once."""
    token, text = await _drawn_up(call)
    try:
        await call.use(AdminTokens).add(token, _room(call))
    except ValueError as taken:
        raise Conflict(str(taken)) from None
    return TokenMade(token=text, **dict(_shown(token, token.created)))


async def _drawn_up(call: Call) -> tuple[AdminToken, str]:
    """Return the token to store, and its text unless its holder drafted it. Raises Fault."""
    body, roles = call.body, tuple(dict.fromkeys(call.body.roles))
    if more := beyond(call.actor.roles, roles):
        raise Forbidden(f"only a holder of the role {', '.join(more)} may grant it; ask one of them")
    if body.fingerprint is None:
        text = render(secrets.token_hex(6), secrets.token_bytes(SECRET_BYTES))
        token_id, kept = id_of(text) or "", hashed(text)
    else:
        text, (token_id, kept) = "", body.fingerprint.split(":")
        if await call.use(AdminTokens).find(token_id) is not None:
            raise Conflict(f"token {token_id} exists already: have its holder draft another")
    ends, who = call.now + timedelta(days=body.valid_days), call.actor.name
    return (
        AdminToken(token_id, body.name, roles, kept, call.now, ends, who, None, body.repositories, call.agreed_by),
        text,
    )


def _revoked(row: Row) -> list[str]:
    return [f"token {row['id']} ({row['name']}) was revoked at {minute(row['revoked'])}"]


@operation("DELETE /tokens/{id}", Permission.CHANGE_TOKENS, Command("tokens revoke", _revoked))
async def revoke_token(call: Call) -> TokenShown:
    """Revoke an admin token permanently, at once."""
    token_id, tokens = call.path_params["id"], call.use(AdminTokens)
    token = await tokens.find(token_id)
    if token is None:
        raise NotFound(f"no token {quoted(token_id)}; list them with: countersign tokens list")
    if more := beyond(call.actor.roles, token.roles):
        raise Forbidden(f"only a holder of the role {', '.join(more)} may revoke it; ask one of them")
    await tokens.revoke(token_id, call.now)  # repeating it changes nothing: the response has the original time
    return _shown(await tokens.find(token_id) or token, call.now)


OPERATIONS = (list_tokens, create_token, revoke_token)


def _room(call: Call) -> Allotment:
    limit = call.ports.limits.admin_tokens
    return allotment(limit, limit, call.actor.name, call.actor.rank)


def _shown(token: AdminToken, now: datetime) -> TokenShown:
    return filled(TokenShown, token, valid=expiry_reason(token, now) is None)
