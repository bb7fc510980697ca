"""Calls that wait for a second person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from proxy.admin.approval import Approval, ApprovalState
from proxy.journal.event import Event
from proxy.trust.allotment import Allotment


class Approvals(Protocol):
    """What was asked for and not done yet, or was. All calls raise Unavailable."""

    async def add(self, approval: Approval, event: Event, room: Allotment | None = None) -> Approval:
        """Keep a new request and its row of the journal, in one transaction, and return it; durable on return.

        Where the same person asks for the same already, nothing is kept and that request is returned. Raises
        ValueError when there is no room for it (None: there always is).
        """

    async def find(self, approval_id: str) -> Approval | None:
        """Return the request of this id, or None."""

    async def change(self, approval_id: str, change: Callable[[Approval], Approval | None]) -> Approval | None:
        """Put what `change` makes of it in its place, in one transaction; None where it stays as it was."""

    async def page(self, state: ApprovalState | None, limit: int, skip: int) -> tuple[Approval, ...]:
        """Return requests in this state (None: in any), newest first."""

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        """Return requests that nobody decided in time."""
