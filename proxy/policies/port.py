"""The port for the revisions of the policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.journal.event import Event
from proxy.policies.revision import PolicyRevision


class PolicyBook(Protocol):
    """Stores the revisions of policies that are changed through the API. All methods raise Unavailable.

    `newest` and `find` raise Corrupt for a revision that was altered after it was written.
    """

    async def newest(self) -> PolicyRevision | None:
        """Return the newest revision, or None if there has never been one."""

    async def find(self, number: int) -> PolicyRevision | None:
        """Return the revision with this number, or None."""

    async def history(self, limit: int, skip: int = 0) -> tuple[PolicyRevision, ...]:
        """Return revisions, newest first, including altered ones."""

    async def tip(self) -> tuple[int, str]:
        """Return number and hash of the newest revision, even if it was altered; 0 and "" without one."""

    async def append(
        self, revision: PolicyRevision, canonical: str, event: Event, then: Callable[[bool | None], None] | None = None
    ) -> bool:
        """Add this revision, its policies by hash and its journal row; all of it or nothing.

        Returns False, and changes nothing, when the revision does not follow the newest: another one came first. `then`
        gets the same result at that moment, even if the caller was cancelled; None if the outcome is unknown.
        """
