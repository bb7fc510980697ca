"""The revisions of the policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.journal.event import Event
from proxy.policies.revision import PolicyRevision


class PolicyBook(Protocol):
    """Revisions of the policies, for where they are changed by the API. All calls raise Unavailable.

    `newest` and `find` raise Corrupt for a revision that is not what it was when it was written.
    """

    async def newest(self) -> PolicyRevision | None:
        """Return the newest revision, or None where there never was one."""

    async def find(self, number: int) -> PolicyRevision | None:
        """Return the revision of this number, or None."""

    async def history(self, limit: int, skip: int = 0) -> tuple[PolicyRevision, ...]:
        """Return revisions, newest first, altered ones as they are."""

    async def tip(self) -> tuple[int, str]:
        """Return number and hash of the newest revision, also where it was altered; 0 and "" without one."""

    async def append(
        self, revision: PolicyRevision, canonical: str, event: Event, then: Callable[[bool | None], None] | None = None
    ) -> bool:
        """Add this revision, its policies under their hash and its row in the journal; all of it or nothing.

        Return False, having changed nothing, when it does not follow the newest: somebody was first. `then` is told the
        same in that moment, even where the caller has gone; None where the outcome is not known.
        """
