"""Our own credentials towards upstream: a password, or tokens bought with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from cachetools import TLRUCache

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.operation import Operation
from proxy.upstream.challenge import Challenge
from proxy.upstream.realm import DEFAULT_LIFE_S, LONGEST_LIFE_S, Realm, basic

_EARLY = 0.8  # a token is used for this part of its life: one that ends on the way costs a request


class Ours:
    """The configured name and password, shown to upstream or to its allowed realm and nobody else."""

    def __init__(self, realm: Realm, name: str, password: str, monotonic: Callable[[], float]) -> None:
        """Ask for nothing yet."""
        self._realm = realm
        self._name = name
        self._basic = basic(name, password)
        self._now = monotonic
        self._bearer = False
        self._tokens: TLRUCache[str, tuple[str, float]] = TLRUCache(
            1000, ttu=lambda _key, held, _now: held[1], timer=monotonic
        )

    def authorization(self, operation: Operation) -> str | None:
        """Return what to send with an operation, as far as it is known without asking anybody."""
        if not self._bearer:
            return self._basic
        held = self._tokens.get(scope_of(operation))
        return None if held is None else f"Bearer {held[0]}"

    async def renewed(self, operation: Operation, challenges: Sequence[Challenge]) -> str | None:
        """Return what to send after a 401 with these challenges; None when there is nothing better.

        Raises Unavailable when the realm gives no token.
        """
        bearer = next((c for c in challenges if c.scheme == "bearer"), None)
        if bearer is None:
            return None
        self._bearer = True
        scope = scope_of(operation)
        pairs = (("account", self._name), *((("scope", scope),) if scope else ()))
        reply = await self._realm.token("GET", pairs, self._basic)
        try:
            answer = json.loads(reply.body) if reply.status == 200 else {}
            token = answer.get("token") or answer.get("access_token")
            life = answer.get("expires_in", DEFAULT_LIFE_S)
        except (ValueError, AttributeError, RecursionError) as exc:
            raise Unavailable("upstream's token realm answered with something that is not a token") from exc
        if not isinstance(token, str) or not token:
            raise Unavailable(
                f"upstream's token realm refused our own credentials ({reply.status}); check the upstream's `credentials`"
            )
        seconds = life if isinstance(life, int) and 0 < life <= LONGEST_LIFE_S else DEFAULT_LIFE_S
        self._tokens[scope] = (token, self._now() + seconds * _EARLY)
        return f"Bearer {token}"


def scope_of(operation: Operation) -> str:
    """Return the token scope that an operation needs (distribution, token scope documentation); '' for none."""
    match operation:
        case ops.CheckApi():
            return ""
        case ops.ListRepositories():
            return "registry:catalog:*"
        case ops.DeleteManifest() | ops.DeleteBlob():
            return f"repository:{operation.repository}:delete,pull"
        case ops.PullManifest() | ops.PullBlob() | ops.ListTags() | ops.ListReferrers():
            return f"repository:{operation.repository}:pull"
    return f"repository:{operation.repository}:pull,push"
