"""What the routes about admin tokens do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import cast

from proxy.admin import token_routes as shapes
from proxy.admin.approval import agrees, short_of_two
from proxy.admin.certificates import KnownCertificate
from proxy.admin.dispatch import ON_THE_HOST, Acting, Holder, Topic
from proxy.admin.part import part
from proxy.admin.token import SECRET_BYTES, AdminToken, expiry_reason, hashed, id_of, render, token_refusal
from proxy.admin.tokens_port import AdminTokens
from proxy.oci.faults import Fault
from proxy.registry.ports_in_use import Ports
from proxy.trust.allotment import Allotment, allotment, rank_of
from proxy.trust.roles import Role, beyond


class TokenDesk:
    """One method for each route; each raises Fault or Unavailable with words for whoever called."""

    def __init__(
        self, ports: Callable[[], Ports], tokens: AdminTokens, people: Callable[[], Iterable[KnownCertificate]] = tuple
    ) -> None:
        """`ports` returns the one in force, `people` who calls with a certificate, as configured by now."""
        self._ports = ports
        self._tokens = tokens
        self._people = people

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
        return Topic(
            {
                "list_tokens": self._list,
                "create_token": self._create,
                "revoke_token": self._revoke,
            },
            {"create_token": self._plan_create},
            alone={"create_token": self._alone},
        )

    async def _list(self, acting: Acting) -> shapes.Tokens:
        tokens, after = part(await self._tokens.all(), acting)
        now = self._ports().clock.now()
        return shapes.Tokens(items=tuple(_token(token, now) for token in tokens), next=after)

    async def _create(self, acting: Acting) -> shapes.TokenMade:
        token, text = await self._drawn_up(acting)
        try:
            await self._tokens.add(token, _room(acting.holder, self._ports()))
        except ValueError as taken:
            raise Fault("DENIED", str(taken), status=409) from None
        return shapes.TokenMade(token=text, **dict(_token(token, token.created)))

    async def _drawn_up(self, acting: Acting) -> tuple[AdminToken, str]:
        """Return the token as it would be kept, and its text where nobody else has it. Raises Fault."""
        wish, now = cast("shapes.NewToken", acting.body), self._ports().clock.now()
        roles = tuple(dict.fromkeys(wish.roles))
        if more := beyond(acting.holder.roles, roles):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may hand it out; ask one of them")
        if wish.fingerprint is None:
            text = render(secrets.token_hex(6), secrets.token_bytes(SECRET_BYTES))
            token_id, kept = id_of(text) or "", hashed(text)
        else:
            text, (token_id, kept) = "", wish.fingerprint.split(":")
            if await self._tokens.find(token_id) is not None:
                raise Fault("DENIED", f"there is a token {token_id} already: have its holder draft another", status=409)
        ends = now + timedelta(days=wish.valid_days)
        who, scope = acting.holder.who, wish.repositories
        return AdminToken(token_id, wish.name, roles, kept, now, ends, who, None, scope, acting.agreed_by), text

    async def _plan_create(self, acting: Acting) -> tuple[str, ...]:
        wish = cast("shapes.NewToken", acting.body)
        token, _ = await self._drawn_up(acting)
        if why := token_refusal(token, await self._tokens.all(), _room(acting.holder, self._ports())):
            raise Fault("DENIED", why, status=409)
        scope = ", ".join(token.repositories) or "all repositories"
        made = f"make a token {token.name!a} with {', '.join(token.roles)} for {scope}, for {wish.valid_days} days"
        if wish.fingerprint is not None:
            return (made, f"it is the one that its holder drafted, {wish.fingerprint[:29]}...: ask them whether it is")
        return (made, "show it once, in the answer to this call")

    async def _alone(self, acting: Acting) -> bool:
        """True for a token that agrees to nothing, and on the host while there are not two people who could agree."""
        wish = cast("shapes.NewToken", acting.body)
        if wish.repositories or not agrees(wish.roles):
            return True
        return acting.holder is ON_THE_HOST and short_of_two(wish.roles, await self._who_count())

    async def _who_count(self) -> list[tuple[str, tuple[Role, ...]]]:
        now = self._ports().clock.now()
        known = await self._tokens.all()
        tokens = [(t.name, t.roles) for t in known if t.counts and not t.repositories and expiry_reason(t, now) is None]
        return tokens + [(person.name, person.roles) for person in self._people() if not person.repositories]

    async def _revoke(self, acting: Acting) -> shapes.TokenShown:
        token_id, now = acting.path_params["id"], self._ports().clock.now()
        token = await self._tokens.find(token_id)
        if token is None:
            raise Fault("NAME_UNKNOWN", f"there is no token {token_id!a}; there are: countersign tokens list")
        if more := beyond(acting.holder.roles, token.roles):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may take it away; ask one of them")
        await self._tokens.revoke(token_id, now)  # again, it changes nothing: the answer says since when
        gone = await self._tokens.find(token_id)
        return _token(gone or token, now)


def _room(holder: Holder, ports: Ports) -> Allotment:
    limit = ports.limits.admin_tokens
    return allotment(limit, limit, holder.who, rank_of(holder.roles, holder.repositories))


def _token(token: AdminToken, now: datetime) -> shapes.TokenShown:
    return shapes.TokenShown(
        id=token.id,
        name=token.name,
        roles=token.roles,
        repositories=token.repositories,
        valid=expiry_reason(token, now) is None,
        created=token.created,
        expires=token.expires,
        revoked=token.revoked,
        by=token.by,
        agreed_by=token.agreed_by,
    )
