"""What the routes about admin tokens do."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from proxy.flows.house import House
from proxy.oci.faults import Fault
from proxy.ports import AdminTokens
from proxy.trust.admin_token import SECRET_BYTES, AdminToken, hashed, over, written
from proxy.trust.allotment import Allotment, allotment, rank_of
from proxy.trust.roles import beyond
from proxy.web.admin_api import tokens as shapes
from proxy.web.admin_api.handler import Acting, Holder, Topic
from proxy.wiring.admin_desk.part import part


class TokenDesk:
    """One method for each route; each raises Fault or Unavailable with words for whoever called."""

    def __init__(self, house: Callable[[], House], tokens: AdminTokens) -> None:
        """`house` returns the one in force."""
        self._house = house
        self._tokens = tokens

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
        return Topic(
            {
                "list_tokens": self._list,
                "create_token": self._create,
                "revoke_token": self._revoke,
            }
        )

    async def _list(self, acting: Acting) -> shapes.Tokens:
        tokens, after = part(await self._tokens.all(), acting)
        now = self._house().clock.now()
        return shapes.Tokens(items=tuple(_token(token, now) for token in tokens), next=after)

    async def _create(self, acting: Acting) -> shapes.TokenMade:
        wish, now = cast("shapes.TokenWish", acting.body), self._house().clock.now()
        roles = tuple(dict.fromkeys(wish.roles))
        if more := beyond(acting.holder.roles, roles):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may hand it out; ask one of them")
        token_id = secrets.token_hex(6)
        text = written(token_id, secrets.token_bytes(SECRET_BYTES))
        ends = now + timedelta(days=wish.valid_days)
        token = AdminToken(
            token_id, wish.name, roles, hashed(text), now, ends, acting.holder.who, repositories=wish.repositories
        )
        try:
            await self._tokens.add(token, _room(acting.holder, self._house()))
        except ValueError as taken:
            raise Fault("DENIED", str(taken), status=409) from None
        return shapes.TokenMade(token=text, **dict(_token(token, now)))

    async def _revoke(self, acting: Acting) -> shapes.TokenShown:
        token_id, now = acting.places["id"], self._house().clock.now()
        token = await self._tokens.find(token_id)
        if token is None:
            raise Fault("NAME_UNKNOWN", f"there is no token {token_id!a}; there are: countersign tokens list")
        if more := beyond(acting.holder.roles, token.roles):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may take it away; ask one of them")
        await self._tokens.revoke(token_id, now)  # again, it changes nothing: the answer says since when
        gone = await self._tokens.find(token_id)
        return _token(gone or token, now)


def _room(holder: Holder, house: House) -> Allotment:
    limit = house.limits.admin_tokens
    return allotment(limit, limit, holder.who, rank_of(holder.roles, holder.repositories))


def _token(token: AdminToken, now: datetime) -> shapes.TokenShown:
    return shapes.TokenShown(
        id=token.id,
        name=token.name,
        roles=token.roles,
        repositories=token.repositories,
        valid=over(token, now) is None,
        created=token.created,
        expires=token.expires,
        revoked=token.revoked,
        by=token.by,
    )
