"""The upstream registry, and the rights it gives a caller."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from proxy.oci.operation import Operation
from proxy.oci.reference import Digest, Repository
from proxy.trust.question import Caller

Headers = tuple[tuple[str, str], ...]
# RFC 9110 7.6.1, with older names still in use: these headers concern one connection and are never passed on.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)


@dataclass(frozen=True)
class Credential:
    """The caller's Authorization header (None: not sent), or `ours` for the credentials in our configuration."""

    authorization: str | None = field(default=None, repr=False)
    ours: bool = False


class ReferrersApi(Enum):
    """Whether upstream has the referrers API in one repository.

    For a verdict `UNKNOWN` means "could not look"; for writing signatures it is treated as `HAS_NOT`.
    """

    HAS = "has"
    HAS_NOT = "has not"
    UNKNOWN = "unknown"


class UpstreamResponse(Protocol):
    """A response from upstream. Read it or close it; both are idempotent after the first call."""

    status: int
    headers: Headers  # names in lower case; repeated headers repeated; hop-by-hop ones stripped

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raises Fault SIZE_INVALID (413) beyond `limit` bytes, Unavailable when cut short."""

    def stream(self) -> AsyncIterable[bytes]:
        """Iterate over the body as it arrives, without copies. Raises Unavailable when cut short."""

    async def close(self) -> None:
        """Give the connection back."""


@dataclass(frozen=True)
class Refusal:
    """Upstream's own refusal, with its whole body."""

    status: int
    headers: Headers
    body: bytes = field(default=b"", repr=False)


class Registry(Protocol):
    """The upstream registry."""

    async def perform(
        self,
        operation: Operation,
        credential: Credential,
        *,
        headers: Headers = (),
        body: bytes | AsyncIterable[bytes] | None = None,
        length: int | None = None,
        transfer: bool = False,
    ) -> UpstreamResponse:
        """Send one operation and return the reply, whatever its status. Raises Unavailable when there is none.

        `transfer`: a body passes between upstream and a caller; transfers have connections of their own.
        """

    async def follow(self, reply: UpstreamResponse) -> UpstreamResponse:
        """Return the target of a redirected blob reply, fetched without credentials, from allowed origins only.

        Closes the reply it is given. Raises Unavailable, naming the origin, if the origin is not allowed.
        """

    async def referrers_api(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi:
        """Return whether upstream has the referrers API, learned by our own request about this manifest; cached.

        Raises Unavailable when another try may help.
        """


class Effort(Enum):
    """The requests that may be sent upstream to prove a name."""

    NOTHING = "nothing"  # none: use what is known; and `/v2/`, if it is known to be closed to anonymous callers
    READING = "reading"  # requests that leave nothing behind
    WRITING = "writing"  # also the start of an upload


class Rights(Protocol):
    """The caller's name and rights; every answer is upstream's own, at most a configured time old."""

    async def caller(self, repository: Repository, credential: Credential, effort: Effort = Effort.WRITING) -> Caller:
        """Return `Named` only if the name is proven with this effort or was before, else `Anonymous`."""

    def front_door(self, *, closed: bool) -> None:
        """Remember whether upstream admits a caller without credentials at `/v2/`."""

    async def may_push(self, repository: Repository, credential: Credential) -> bool:
        """True when upstream accepts the start of an upload (cancelled at once; cached). Raises Unavailable."""

    async def let_in(self, repository: Repository, credential: Credential) -> Refusal | None:
        """Return None if upstream let this credential write here within `let_in_s`, else its refusal now.

        Raises Unavailable.
        """

    def confirm_push(self, repository: Repository, credential: Credential) -> None:
        """Remember that upstream just let this credential start an upload here."""

    def knows(self, repository: str, credential: Credential) -> bool:
        """True if upstream let this credential read or write here recently; sends no request."""

    def proven(self, credential: Credential) -> str | None:
        """Return the name behind this credential if it is already proven; sends no request."""

    def may_read(self, repository: Repository, credential: Credential) -> bool:
        """True when upstream let this credential read here within the configured time."""

    def confirm_read(self, repository: Repository, credential: Credential) -> None:
        """Remember that upstream just let this credential read here."""

    def refused(self, credential: Credential) -> None:
        """Forget everything remembered for this credential: upstream just answered 401 or 403."""
