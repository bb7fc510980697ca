"""The registry behind us, and what it lets a caller do."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from proxy.oci.operation import Operation
from proxy.oci.reference import Digest, Repository
from proxy.trust.question import Caller

Headers = tuple[tuple[str, str], ...]
# RFC 9110 7.6.1, with older names still sent: these speak about one connection and are never passed on.
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
    """What the caller sent as Authorization (None: nothing), or `ours` for the credentials in our configuration."""

    authorization: str | None = field(default=None, repr=False)
    ours: bool = False


class ReferrersApi(Enum):
    """What is known of upstream's referrers API in one repository.

    For a verdict `UNKNOWN` is "could not look"; for where signatures are written it is as good as `HAS_NOT`.
    """

    HAS = "has"
    HAS_NOT = "has not"
    UNKNOWN = "unknown"


class UpstreamResponse(Protocol):
    """What upstream answered. Read it or close it; both are idempotent after the first."""

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
    """Upstream's own no, wholly read."""

    status: int
    headers: Headers
    body: bytes = field(default=b"", repr=False)


class Registry(Protocol):
    """The registry behind us."""

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

        `transfer` says that a body passes between upstream and a caller: those have connections of their own.
        """

    async def follow(self, reply: UpstreamResponse) -> UpstreamResponse:
        """Return what a redirected blob reply points to, fetched without any credential, from allowed origins only.

        Closes the reply it is given. Raises Unavailable, naming the origin, where it is not allowed.
        """

    async def referrers_api(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi:
        """Return whether the referrers API is there, learned by a question of our own about this manifest; cached.

        Raises Unavailable where asking again may help.
        """


class Effort(Enum):
    """What may be asked of upstream to prove a name."""

    NOTHING = "nothing"  # what is known already; and the front door, where it is known to be closed to strangers
    READING = "reading"  # questions that leave nothing behind
    WRITING = "writing"  # also the start of an upload


class Rights(Protocol):
    """Who is calling and what upstream lets them do; every answer is upstream's own, at most a configured time old."""

    async def caller(self, repository: Repository, credential: Credential, effort: Effort = Effort.WRITING) -> Caller:
        """Return `Named` only where the name is proven with this effort or was before, else `Anonymous`."""

    def front_door(self, *, closed: bool) -> None:
        """Remember whether upstream lets a caller without any credential in at `/v2/`."""

    async def may_push(self, repository: Repository, credential: Credential) -> bool:
        """True when upstream accepts the start of an upload (cancelled at once; cached). Raises Unavailable."""

    async def let_in(self, repository: Repository, credential: Credential) -> Refusal | None:
        """Return None where upstream let this credential write here within `let_in_s`, else its refusal now.

        Raises Unavailable.
        """

    def confirm_push(self, repository: Repository, credential: Credential) -> None:
        """Remember that upstream just let this credential start an upload here."""

    def knows(self, repository: str, credential: Credential) -> bool:
        """True where upstream let this credential read or write here lately; asks nobody."""

    def proven(self, credential: Credential) -> str | None:
        """Return the name behind this credential where it is proven already; asks nobody."""

    def may_read(self, repository: Repository, credential: Credential) -> bool:
        """True when upstream let this credential read here within the configured time."""

    def confirm_read(self, repository: Repository, credential: Credential) -> None:
        """Remember that upstream just let this credential read here."""

    def refused(self, credential: Credential) -> None:
        """Forget everything remembered for this credential: upstream just said 401 or 403."""
