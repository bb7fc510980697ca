"""The port for approval requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from proxy.admin.approval import Approval, ApprovalState
from proxy.journal.event import Event
from proxy.trust.allotment import Allotment


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

    async def page(self, state: ApprovalState | None, limit: int, skip: int) -> tuple[Approval, ...]:
        """Return requests in this state (None: any), newest first."""

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        """Return undecided requests that have passed their expiry time."""
