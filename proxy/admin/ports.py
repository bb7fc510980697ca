"""The ports for admin tokens, approval requests and people with a client certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from proxy.admin.approval import Approval, ApprovalState
from proxy.admin.token import AdminToken
from proxy.journal.event import Event
from proxy.oci.slices import Slice
from proxy.trust.allotment import Allotment
from proxy.trust.roles import Role


class AdminTokens(Protocol):
    """Stores the tokens of the admin API: hashes, no secrets. All methods raise Unavailable."""

    async def add(self, token: AdminToken, room: Allotment | None = None) -> None:
        """Store a new token; durable on return.

        Raises ValueError when a valid token has its name, or its maker's allotment `room` is full (None: no limit).
        """

    async def add_first(self, token: AdminToken) -> bool:
        """Store the token if there has never been one; else change nothing and return False."""

    async def find(self, token_id: str) -> AdminToken | None:
        """Return the token with this id, valid or not, or None."""

    async def all(self) -> tuple[AdminToken, ...]:
        """Return every token ever stored, oldest first."""

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """Revoke a token permanently; return False if none has this id or it was revoked before."""


class Approvals(Protocol):
    """Stores the calls requested for approval, executed or not. All methods raise Unavailable."""

    async def add(self, approval: Approval, event: Event, room: Allotment | None = None) -> Approval:
        """Store a new request and its journal row in one transaction, and return the request; durable on return.

        If the same person has already requested the same call, nothing is stored and that request is returned. Raises
        ValueError when the allotment `room` is full (None: no limit).
        """

    async def find(self, approval_id: str) -> Approval | None:
        """Return the request with this id, or None."""

    async def change(self, approval_id: str, change: Callable[[Approval], Approval | None]) -> Approval | None:
        """Replace the request by the result of `change`, in one transaction; None if the request stays unchanged."""

    async def page(self, state: ApprovalState | None, part: Slice) -> tuple[Approval, ...]:
        """Return requests in this state (None: any), newest first. Their key is their creation and their id."""

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        """Return undecided requests that have passed their expiry time."""


class Known(Protocol):
    """A person who calls with a client certificate."""

    @property
    def match(self) -> str:
        """The name to find in the certificate: `subject:`, `dns:`, `email:` or `uri:` and the value."""

    @property
    def name(self) -> str:
        """The name for the journal."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """The person's roles."""

    @property
    def repositories(self) -> tuple[str, ...]:
        """Patterns of the repositories the person may access; none: everything."""


class KnownPeople(Protocol):
    """Supplies the people with a client certificate, from the current configuration."""

    def __call__(self) -> Iterable[Known]:
        """Return these people."""
