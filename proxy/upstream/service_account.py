"""Our own credentials for upstream: a password, or tokens obtained with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from cachetools import LRUCache, TLRUCache

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.operation import Operation
from proxy.registry.single_flight import SingleFlight
from proxy.upstream.headers import Challenge
from proxy.upstream.realm import Realm
from proxy.upstream.tokens import basic, token_in

_EARLY = 0.8  # share of a token's lifetime in which it is used: an expiry in transit costs a request


class ServiceAccount:
    """The configured name and password, sent only to upstream or its allowed realm."""

    def __init__(self, realm: Realm, name: str, password: str, monotonic: Callable[[], float]) -> None:
        """Start without a token; no request is sent yet."""
        self.refused: str | None = None  # why upstream refuses this account, None if it accepted it last time
        self.refused_at = -inf  # time of the last refusal, on the clock `monotonic`
        self._realm = realm
        self._name = name
        self._basic = basic(name, password)
        self._now = monotonic
        self._wants: LRUCache[str, bool] = LRUCache(1000)  # scopes for which upstream required a token
        self._buying: SingleFlight[str] = SingleFlight()
        self._tokens: TLRUCache[str, tuple[str, float]] = TLRUCache(
            1000, ttu=lambda _key, held, _now: held[1], timer=monotonic
        )

    async def authorization(self, operation: Operation) -> str:
        """Return the Authorization value for an operation: the password, or a token if upstream required one there.

        Raises Unavailable when the realm gives no token.
        """
        scope = scope_of(operation)
        if scope not in self._wants:
            return self._basic
        held = self._tokens.get(scope)
        return await self._bought(scope) if held is None else f"Bearer {held[0]}"

    async def renewed(self, operation: Operation, challenges: Sequence[Challenge]) -> str | None:
        """Return the Authorization value to retry with after a 401 with these challenges; None if there is none better.

        Raises Unavailable when the realm gives no token.
        """
        if not any(c.scheme == "bearer" for c in challenges):
            return None
        self._wants[scope_of(operation)] = True
        return await self._bought(scope_of(operation))

    def answered(self, status: int) -> None:
        """Note upstream's response to this account: 401 is a refusal, a successful read or write an acceptance."""
        if status == 401:
            self._refuses("it answers 401")
        elif status < 400:
            self.refused = None

    def renew(self, password: str) -> bool:
        """Use this password from now on; return False if it is unchanged."""
        shown = basic(self._name, password)
        if shown == self._basic:
            return False
        self._basic = shown
        self._tokens.clear()
        return True

    def _refuses(self, why: str) -> None:
        self.refused, self.refused_at = why, self._now()

    async def _bought(self, scope: str) -> str:
        return await self._buying.do(scope, lambda: self._buy(scope))

    async def _buy(self, scope: str) -> str:
        pairs = (("account", self._name), *((("scope", scope),) if scope else ()))
        reply = await self._realm.relay("GET", pairs, self._basic)
        if reply.status != 200:
            if reply.status in (401, 403):
                self._refuses(f"its token realm answers {reply.status}")
            raise Unavailable(
                f"upstream's token realm refused our own credentials ({reply.status}); "
                "check the upstream's `credentials`"
            )
        token, life = token_in(reply.body)
        if not token:
            raise Unavailable("upstream's token realm answered with something that is not a token")
        self._tokens[scope] = (token, self._now() + life * _EARLY)
        return f"Bearer {token}"


def scope_of(operation: Operation) -> str:
    """Return the token scope that an operation needs (distribution, token scope documentation); '' for none."""
    match operation:
        case ops.CheckApi() | ops.Options():
            return ""
        case ops.ListRepositories():
            return "registry:catalog:*"
        case ops.DeleteManifest() | ops.DeleteBlob():
            return f"repository:{operation.repository}:delete,pull"
        case ops.PullManifest() | ops.PullBlob() | ops.ListTags() | ops.ListReferrers():
            return f"repository:{operation.repository}:pull"
    return f"repository:{operation.repository}:pull,push"
