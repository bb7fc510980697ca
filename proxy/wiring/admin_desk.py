"""What the routes of the admin API do: the same flows as every other way in."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar, cast

from proxy.flows import keylife
from proxy.flows.house import House
from proxy.oci.faults import Fault
from proxy.ports import AdminTokens, Search
from proxy.store import Store
from proxy.trust.admin_token import SECRET_BYTES, AdminToken, hashed, over, written
from proxy.trust.event import Event
from proxy.trust.keys import BookKey, fingerprint
from proxy.trust.roles import beyond
from proxy.web import admin_bodies as bodies
from proxy.web.admin_api import Acting, Action, AdminApi
from proxy.wiring.desk import Desk

T = TypeVar("T")


def admin_api(
    desk: Desk, house: Callable[[], House], store: Store, reload: Callable[[], Awaitable[str | None]]
) -> AdminApi:
    """Return the admin API of what is running. `house` returns the one in force."""
    does = AdminDesk(desk, house, store.admin_tokens, reload)
    return AdminApi(does.actions(), store.admin_tokens, store.journal, house().clock)


class AdminDesk:
    """One method for each route; each raises Fault, Unavailable or Corrupt with words for whoever called."""

    def __init__(
        self, desk: Desk, house: Callable[[], House], tokens: AdminTokens, reload: Callable[[], Awaitable[str | None]]
    ) -> None:
        """`reload` reads the configuration again and returns why it was refused, or None."""
        self._desk = desk
        self._house = house
        self._tokens = tokens
        self._reload_now = reload

    def actions(self) -> Mapping[str, Action]:
        """Return what every route does, by the route's name."""
        return {
            "status": self._status,
            "list_keys": self._keys,
            "rotate_key": self._rotate,
            "prepare_key": self._prepare,
            "activate_key": self._activate,
            "retire_key": self._retire,
            "compromise_key": self._compromise,
            "list_tokens": self._list_tokens,
            "create_token": self._create_token,
            "revoke_token": self._revoke_token,
            "journal": self._journal,
            "reload": self._reload,
            "sign": self._sign,
        }

    async def _status(self, _acting: Acting) -> bodies.Status:
        return bodies.Status.model_validate(await self._desk.status(), strict=False)

    async def _keys(self, acting: Acting) -> bodies.Keys:
        keys, after = _part(self._house().keybook.ring().ours, acting)
        return bodies.Keys(items=tuple(_key(key) for key in keys), next=after)

    async def _rotate(self, acting: Acting) -> bodies.Rotation:
        return _turned(await keylife.rotate(acting.places["profile"], *self._why(acting), request_id=acting.request_id))

    async def _prepare(self, acting: Acting) -> bodies.KeyShown:
        return _key(await keylife.prepare(acting.places["profile"], *self._why(acting), request_id=acting.request_id))

    async def _activate(self, acting: Acting) -> bodies.Rotation:
        which = acting.places["fingerprint"]
        return _turned(await keylife.activate(which, *self._why(acting), request_id=acting.request_id))

    async def _retire(self, acting: Acting) -> bodies.KeyShown:
        which = acting.places["fingerprint"]
        return _key(await keylife.retire(which, *self._why(acting), request_id=acting.request_id))

    async def _compromise(self, acting: Acting) -> bodies.KeyShown:
        which, wish = acting.places["fingerprint"], cast("bodies.Compromise", acting.body)
        bad = await keylife.compromise(which, *self._why(acting), rotate=wish.rotate, request_id=acting.request_id)
        return _key(bad)

    def _why(self, acting: Acting) -> tuple[str, str, str, House]:
        return acting.holder.who, acting.holder.how, cast("bodies.Why", acting.body).reason, self._house()

    async def _list_tokens(self, acting: Acting) -> bodies.Tokens:
        tokens, after = _part(await self._tokens.all(), acting)
        now = self._house().clock.now()
        return bodies.Tokens(items=tuple(_token(token, now) for token in tokens), next=after)

    async def _create_token(self, acting: Acting) -> bodies.TokenMade:
        wish, now = cast("bodies.TokenWish", acting.body), self._house().clock.now()
        roles = tuple(dict.fromkeys(wish.roles))
        if more := beyond(acting.holder.roles, roles):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may hand it out; ask one of them")
        token_id = secrets.token_hex(6)
        text = written(token_id, secrets.token_bytes(SECRET_BYTES))
        ends = now + timedelta(days=wish.valid_days)
        token = AdminToken(token_id, wish.name, roles, hashed(text), now, ends, acting.holder.who)
        try:
            await self._tokens.add(token)
        except ValueError as taken:
            raise Fault("DENIED", str(taken), status=409) from None
        return bodies.TokenMade(token=text, **dict(_token(token, now)))

    async def _revoke_token(self, acting: Acting) -> bodies.TokenShown:
        token_id, now = acting.places["id"], self._house().clock.now()
        token = await self._tokens.find(token_id)
        if token is None:
            raise Fault("NAME_UNKNOWN", f"there is no token {token_id!a}; there are: countersign tokens list")
        if more := beyond(acting.holder.roles, token.roles):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may take it away; ask one of them")
        await self._tokens.revoke(token_id, now)  # again, it changes nothing: the answer says since when
        gone = await self._tokens.find(token_id)
        return _token(gone or token, now)

    async def _journal(self, acting: Acting) -> bodies.Rows:
        page = cast("bodies.JournalPage", acting.query)
        search = Search(
            kinds=() if page.kind is None else (page.kind,),
            repository=page.repository,
            digest=page.digest,
            since=page.since,
            limit=page.limit + 1,
            skip=page.skip,
        )
        rows = await self._house().journal.search(search)
        after = page.skip + page.limit if len(rows) > page.limit else None
        return bodies.Rows(items=tuple(_row(event) for event in rows[: page.limit]), next=after)

    async def _reload(self, _acting: Acting) -> bodies.Reloaded:
        refused = await self._reload_now()
        return bodies.Reloaded(reloaded=refused is None, why=refused)

    async def _sign(self, acting: Acting) -> bodies.SignedShown:
        wish = cast("bodies.SignWish", acting.body)
        done = await self._desk.sign(wish.ref, wish.reason, acting.holder.who, acting.holder.how)
        return bodies.SignedShown.model_validate(done, strict=False)


def _part(rows: tuple[T, ...], acting: Acting) -> tuple[tuple[T, ...], int | None]:
    page = cast("bodies.Page", acting.query)
    after = page.skip + page.limit
    return rows[page.skip : after], after if after < len(rows) else None


def _turned(done: keylife.Rotated) -> bodies.Rotation:
    return bodies.Rotation(old=None if done.old is None else _key(done.old), new=_key(done.new))


def _key(key: BookKey) -> bodies.KeyShown:
    return bodies.KeyShown(
        fingerprint=fingerprint(key.spki),
        profile=key.profile,
        state=key.state,
        since=key.since,
        compromised_since=key.compromised_since,
        algorithm=key.algorithm,
        token=key.token,
        token_serial=key.token_serial,
        key_id=key.key_id,
        label=key.label,
    )


def _token(token: AdminToken, now: datetime) -> bodies.TokenShown:
    return bodies.TokenShown(
        id=token.id,
        name=token.name,
        roles=token.roles,
        valid=over(token, now) is None,
        created=token.created,
        expires=token.expires,
        revoked=token.revoked,
        by=token.by,
    )


def _row(event: Event) -> bodies.JournalRow:
    told = {name: getattr(event, name) for name in bodies.JournalRow.model_fields}
    return bodies.JournalRow(**{**told, "detail": dict(event.detail)})
