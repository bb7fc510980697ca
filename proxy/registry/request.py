"""One request as the flows see it, and what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field, replace

from proxy.oci.limits import Limits
from proxy.registry.budget import Budget
from proxy.registry.ports.upstream import Credential, Headers, UpstreamResponse


def do_nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Request:
    """What surrounds an operation: whose credentials, which headers (lower-case names, repeats kept), which body.

    `budget` is what judging it may cost; whoever does many things under one of these gives each a `fresh` one.
    """

    credential: Credential
    request_id: str
    headers: Headers = ()
    body: AsyncIterable[bytes] | None = None
    length: int | None = None
    address: str = ""
    cut: Callable[[], None] = do_nothing  # ends the caller's connection at once
    network: str | None = None  # whose share of what is bounded it counts against; None: nobody's alone
    budget: Budget = field(default_factory=Budget, compare=False, repr=False)

    def fresh(self) -> Request:
        """Return the same with nothing spent."""
        return replace(self, budget=Budget(self.budget.clock))

    def part(self, limits: Limits) -> Request:
        """Return the same with half of what is left of its budget."""
        return replace(self, budget=self.budget.part(limits))

    def header(self, name: str) -> str | None:
        """Return the first header of this (lower-case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(frozen=True)
class Response:
    """A reply ready to be written: bytes of ours, or upstream's stream handed through (`relayed`)."""

    status: int
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    relayed: UpstreamResponse | None = None
    warning: str | None = None  # becomes `Warning: 299 - "..."`
