"""Whether upstream has the referrers API: probed by ourselves, about an existing manifest, and remembered.

Callers' requests are no evidence: for a missing repository, or an account that may not read, registries that have the
API answer 404 as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from cachetools import TTLCache

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import INDEXES, MANIFESTS, OCI_INDEX
from proxy.oci.not_found import ERROR_BYTES, NotFound, not_found
from proxy.oci.operation import Operation
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports.upstream import Credential, Headers, ReferrersApi
from proxy.registry.single_flight import SingleFlight
from proxy.upstream.response import AiohttpResponse

HAS_S = 24 * 3600.0  # the API is not expected to disappear
HAS_NOT_S = 600.0  # an upgrade may add the API
REPOSITORIES = 5_000  # remembered at the same time
_ITS_MANIFEST: Headers = tuple(("accept", kind) for kind in sorted(MANIFESTS | INDEXES))
_TEMPORARY = frozenset({408, 425, 429})
_ABOUT_US = frozenset({401, 403, 404})  # statuses that another account might not get

ReferrersMode = Literal["auto", "api", "none"]
Ask = Callable[[Operation, Credential, Headers], Awaitable[AiohttpResponse]]


class ReferrersProbe:
    """The remembered presence of the API, by repository. A remembered `HAS` is never replaced by a weaker result."""

    def __init__(self, ask: Ask, *, ours: bool, manner: ReferrersMode, monotonic: Callable[[], float]) -> None:
        """Start empty. `ours` says that we have our own account; a `manner` other than auto sends no request."""
        self._ask = ask
        self._ours = ours
        self._manner = manner
        self._has: TTLCache[Repository, bool] = TTLCache(REPOSITORIES, HAS_S, timer=monotonic)
        self._has_not: TTLCache[Repository, bool] = TTLCache(REPOSITORIES, HAS_NOT_S, timer=monotonic)
        self._asking: SingleFlight[ReferrersApi] = SingleFlight()

    async def look(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi:
        """Return the configured, the remembered or the probed result. Raises Unavailable."""
        if self._manner != "auto":
            return ReferrersApi.HAS if self._manner == "api" else ReferrersApi.HAS_NOT
        if repository in self._has:
            return ReferrersApi.HAS
        if repository in self._has_not:
            return ReferrersApi.HAS_NOT
        key = (repository, subject, credential)
        return await self._asking.do(key, lambda: self._learn(repository, subject, credential))

    async def _learn(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi:
        found: ReferrersApi | None = None
        if self._ours:
            with suppress(Unavailable, Fault):  # our account failing here is not a result
                found = await self.answer(repository, subject, Credential(ours=True))
        if found is None:
            found = await self.answer(repository, subject, credential) or ReferrersApi.UNKNOWN
        if found is ReferrersApi.HAS:
            self._has[repository] = True
        elif found is ReferrersApi.HAS_NOT:
            self._has_not[repository] = True
        return found

    async def answer(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi | None:
        """Return upstream's present answer to this account, None if another account may get a different one.

        The API exists if upstream answers 200 with an index. It does not exist if upstream answers 404 about a manifest
        that the same account may read. An empty 404 and NAME_UNKNOWN prove neither. Raises Unavailable.
        """
        reply = await self._ask(ops.ListReferrers(repository, subject), credential, (("accept", OCI_INDEX),))
        kind = next((value for name, value in reply.headers if name == "content-type"), "")
        if reply.status == 200 and kind.partition(";")[0].strip().lower() == OCI_INDEX:
            await reply.close()
            return ReferrersApi.HAS
        if may_pass(reply.status, reply.headers):
            await reply.close()
            raise Unavailable(f"upstream's referrers API could not be asked: it answered {reply.status}")
        if reply.status not in _ABOUT_US:
            await reply.close()
            return ReferrersApi.UNKNOWN
        if reply.status == 404 and await _denies(reply) and await self._reads(repository, subject, credential):
            return ReferrersApi.HAS_NOT
        await reply.close()
        return None

    async def _reads(self, repository: Repository, subject: Digest, credential: Credential) -> bool:
        reply = await self._ask(ops.PullManifest(repository, subject), credential, _ITS_MANIFEST)
        await reply.close()
        return reply.status == 200


def may_pass(status: int, headers: Headers) -> bool:
    """True for a response that proves nothing about the API: upstream is busy, broken, or wants a login first."""
    if status == 401:
        return any(name == "www-authenticate" for name, _ in headers)
    return status in _TEMPORARY or (status >= 500 and status != 501)


async def _denies(reply: AiohttpResponse) -> bool:
    """True for a 404 that may mean a missing route. Registries with the API send it too, for unknown objects."""
    try:
        return not_found(await reply.read(ERROR_BYTES)) in {NotFound.THIS, NotFound.FOREIGN}
    except (Fault, Corrupt):
        return False
