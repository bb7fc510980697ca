"""Authenticate callers of the admin API: by a valid token or client certificate, with a rate limit."""

from __future__ import annotations

from collections.abc import Callable

from proxy.admin.ports import AdminTokens
from proxy.admin.rate import FAILED, ROWS, TOKEN, TokenBucket, place
from proxy.admin.token import AdminToken, expiry_reason, id_of, matches
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.faults import Fault, Forbidden, quoted
from proxy.store.clock import Clock
from proxy.trust.actor import Actor
from proxy.trust.names import redacted
from proxy.web.call import Call

_SCHEME = {"WWW-Authenticate": 'Bearer realm="countersign admin"'}
_HOW_TO_GET_ONE = (
    "the first one is in secrets/admin-token beside the configuration after `countersign init`; "
    "a policy-admin or key-admin makes others: countersign tokens create NAME --role ROLE"
)


class Callers:
    """Authenticates callers on the network; refuses unknown ones and journals each refusal."""

    def __init__(
        self,
        tokens: AdminTokens,
        journal: Journal,
        clock: Clock,
        by_certificate: Callable[[bytes], Actor | None],
    ) -> None:
        """`by_certificate` returns the holder of a certificate whose CA the handshake has verified."""
        self._tokens = tokens
        self._journal = journal
        self._clock = clock
        self._by_certificate = by_certificate
        self._by_token = TokenBucket(TOKEN, clock.monotonic)
        self._failed = TokenBucket(FAILED, clock.monotonic)
        self._rows = TokenBucket(ROWS, clock.monotonic)

    async def actor(self, call: Call) -> Actor:
        """Return the caller. Raises Fault 401 without a valid one, 429 after too many failures."""
        if call.credential.authorization is None and call.certificate is not None:
            return await self._certified(call, call.certificate)
        scheme, _, text = (call.credential.authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            say = f"this needs an admin token: send `Authorization: Bearer TOKEN`; {_HOW_TO_GET_ONE}"
            raise await self._unknown(call, "no token", say)
        text = text.strip()
        token_id = id_of(text)
        found = None if token_id is None else await self._tokens.find(token_id)
        if not matches(found, text) or found is None:
            say = f"this is not an admin token of this proxy: check it for typing mistakes; {_HOW_TO_GET_ONE}"
            raise await self._unknown(call, "unknown token", say)
        how = f"admin-token:{found.id}"
        actor = Actor(found.name, how, "", call.request_id, found.roles, found.repositories, found.id)
        await self._not_over(call, found, actor)
        self._by_token.take(found.id)
        return actor

    async def _certified(self, call: Call, certificate: bytes) -> Actor:
        """Return the holder of this certificate, for a call without a token: a token takes precedence. Raises Fault."""
        actor = self._by_certificate(certificate)
        if actor is None:
            say = "this client certificate matches nobody in admin.certificates of the configuration"
            raise await self._unknown(call, "unknown certificate", say)
        # browsers present certificates on behalf of any web page that makes a call
        if call.header("origin") is not None:
            await self.refused(call, "from a web page", actor)
            raise Forbidden(
                "a web page made this call, and a client certificate does not authenticate web pages: use a token"
            )
        self._by_token.take(actor.authenticated_by)
        return actor

    async def _not_over(self, call: Call, token: AdminToken, actor: Actor) -> None:
        """Raise Fault 401 if the token is no longer valid."""
        if (ended := expiry_reason(token, self._clock.now())) is not None:
            another = "a policy-admin or key-admin makes another: countersign tokens create NAME --role ROLE"
            say = f"token {quoted(token.name)} {ended}; {another}"
            raise await self._unknown(call, "the token has ended", say, actor)

    async def still(self, call: Call, actor: Actor) -> None:
        """Check the credential again after the body, which may take hours: a revocation takes effect at once."""
        if not call.body.present:
            return
        if call.certificate is not None and not actor.token_id and self._by_certificate(call.certificate) is None:
            raise await self._unknown(call, "unknown certificate", "this certificate is no longer known", actor)
        if not actor.token_id:
            return
        found = await self._tokens.find(actor.token_id)
        if found is None:
            raise await self._unknown(call, "unknown token", "this token no longer exists", actor)
        await self._not_over(call, found, actor)

    async def _unknown(self, call: Call, reason: str, text: str, actor: Actor | None = None) -> Fault:
        self._failed.take(place(call.address))
        await self.refused(call, reason, actor)
        return Fault("UNAUTHORIZED", text, headers=_SCHEME)

    async def refused(self, call: Call, reason: str, actor: Actor | None) -> None:
        """Record a refused call: as a row for a known actor, up to a rate; counted by address for everyone else."""
        who, how = ("", f"address {place(call.address)}") if actor is None else (actor.name, actor.authenticated_by)
        now, detail = self._clock.now(), {"call": called(call), "from": call.address}
        event = Event(now, EventKind.ADMIN_REFUSED, who, how, reason=reason, request_id=call.request_id, detail=detail)
        if actor is not None and self._rows.left(how):
            self._rows.take(how)
            await self._journal.record(event)
        else:
            await self._journal.counted(event)


def called(call: Call) -> str:
    """Return method and path as the journal shows them."""
    return f"{call.method[:20]} {redacted(call.path)[:300]}"  # more people may read the journal than may use a token
