"""Our own credentials towards upstream: a password, or tokens bought with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from cachetools import LRUCache, TLRUCache

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.operation import Operation
from proxy.registry.single_flight import SingleFlight
from proxy.upstream.challenge import Challenge
from proxy.upstream.realm import Realm
from proxy.upstream.tokens import basic, token_in

_EARLY = 0.8  # a token is used for this part of its life: one that ends on the way costs a request


class ServiceAccount:
    """The configured name and password, shown to upstream or to its allowed realm and nobody else."""

    def __init__(self, realm: Realm, name: str, password: str, monotonic: Callable[[], float]) -> None:
        """Ask for nothing yet."""
        self.refused: str | None = None  # why upstream does not take this account, None where it did last time
        self.refused_at = -inf  # when it last said so, on the clock that `monotonic` is
        self._realm = realm
        self._name = name
        self._basic = basic(name, password)
        self._now = monotonic
        self._wants: LRUCache[str, bool] = LRUCache(1000)  # scopes for which upstream asked for a token
        self._buying: SingleFlight[str] = SingleFlight()
        self._tokens: TLRUCache[str, tuple[str, float]] = TLRUCache(
            1000, ttu=lambda _key, held, _now: held[1], timer=monotonic
        )

    async def authorization(self, operation: Operation) -> str:
        """Return what to send with an operation: the password until upstream asked for a token there.

        Raises Unavailable when the realm gives no token.
        """
        scope = scope_of(operation)
        if scope not in self._wants:
            return self._basic
        held = self._tokens.get(scope)
        return await self._bought(scope) if held is None else f"Bearer {held[0]}"

    async def renewed(self, operation: Operation, challenges: Sequence[Challenge]) -> str | None:
        """Return what to send after a 401 with these challenges; None when there is nothing better.

        Raises Unavailable when the realm gives no token.
        """
        if not any(c.scheme == "bearer" for c in challenges):
            return None
        self._wants[scope_of(operation)] = True
        return await self._bought(scope_of(operation))

    def answered(self, status: int) -> None:
        """Remember what upstream made of this account: 401 is a refusal, what is read or written an acceptance."""
        if status == 401:
            self._refuses("it answers 401")
        elif status < 400:
            self.refused = None

    def renew(self, password: str) -> bool:
        """Show this password from now on; False where it is the one that is shown already."""
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
