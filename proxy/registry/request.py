"""One request as the flows see it, and their response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field, replace

from proxy.oci.limits import Limits
from proxy.oci.operation import UploadChunk
from proxy.registry.budget import Budget
from proxy.registry.ports.upstream import Credential, Headers, UpstreamResponse


def do_nothing() -> None:
    """Do nothing."""


@dataclass(slots=True)
class Request:
    """The context of an operation: credential, headers (lower-case names, repeats kept) and body.

    `budget` bounds the cost of judging. A flow that handles many operations under one request gives each a `fresh` one.
    """

    credential: Credential
    request_id: str
    headers: Headers = ()
    body: AsyncIterable[bytes] | None = None
    length: int | None = None
    address: str = ""
    cut: Callable[[], None] = do_nothing  # closes the caller's connection at once
    network: str | None = None  # the network whose share of a bound this request uses; None: no single network's
    budget: Budget = field(default_factory=Budget, compare=False, repr=False)
    # uploads opened ahead with this credential; None: that failed, and is tried again when the blob is there
    opened: list[asyncio.Task[UploadChunk | None]] = field(default_factory=list, compare=False, repr=False)

    def fresh(self) -> Request:
        """Return the same request with an unspent budget."""
        return replace(self, budget=Budget(self.budget.clock))

    def part(self, limits: Limits) -> Request:
        """Return the same request with half of its remaining budget."""
        return replace(self, budget=self.budget.part(limits))

    def header(self, name: str) -> str | None:
        """Return the first header of this (lower-case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(slots=True)
class Response:
    """A response ready to send: our own bytes, or upstream's stream passed through (`relayed`)."""

    status: int
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    relayed: UpstreamResponse | None = None
    warning: str | None = None  # becomes `Warning: 299 - "..."`
