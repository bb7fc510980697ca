"""Calls that wait for a second person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from proxy.trust.approval import Approval, ApprovalState


class Approvals(Protocol):
    """What was asked for and not done yet, or was. All calls raise Unavailable."""

    async def add(self, approval: Approval) -> None:
        """Keep a new request; durable on return."""

    async def find(self, approval_id: str) -> Approval | None:
        """Return the request of this id, or None."""

    async def change(self, approval_id: str, change: Callable[[Approval], Approval | None]) -> Approval | None:
        """Put what `change` makes of it in its place, in one transaction; None where it stays as it was."""

    async def page(self, state: ApprovalState | None, limit: int, skip: int) -> tuple[Approval, ...]:
        """Return requests in this state (None: in any), newest first."""

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        """Return requests that nobody decided in time."""
