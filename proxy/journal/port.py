"""The journal as its writers and readers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proxy.journal.event import Event, EventKind
from proxy.oci.reference import Digest, Reference, Repository
from proxy.trust.decision import Decision


@dataclass(frozen=True)
class Search:
    """A journal query; empty fields match everything. `limit` rows after `skip`, newest first."""

    kinds: tuple[EventKind, ...] = ()
    repository: str = ""
    digest: str = ""
    since: datetime | None = None
    limit: int = 100
    skip: int = 0


class Journal(Protocol):
    """The append-only record."""

    async def record(self, *events: Event) -> None:
        """Append rows; durable on return (group commit with other waiting writes)."""

    async def decided(self, decision: Decision, event: Event, *, keep: bool = True) -> None:
        """Store the decision under its id and count the event: a row per decision, caller and hour.

        Without `keep` the event is counted alone, as by `counted`.
        """

    async def counted(self, event: Event) -> None:
        """Count the event: a row per kind, caller, repository, reason and hour."""

    async def decision(self, decision_id: str) -> Decision | None:
        """Return a decision by its id, or None."""

    async def search(self, search: Search) -> tuple[Event, ...]:
        """Return matching rows, newest first."""

    async def keep_revision(self, kind: str, revision: str, text: str) -> None:
        """Store the whole text of a policy, configuration or key-book revision, or of a list, under its hash."""

    async def revision(self, kind: str, revision: str) -> str | None:
        """Return the text stored under this hash, or None."""


@dataclass(frozen=True)
class Callers:
    """Who pulled something: how many there are, and the names of the latest."""

    count: int = 0
    names: tuple[str, ...] = ()


NOT_KNOWN = Callers()


@dataclass(frozen=True)
class Pulled:
    """One pulled image under one reference: number of pulls, time of the last one, and whether policies allowed it."""

    repository: Repository
    reference: Reference
    digest: Digest
    served: bool
    pulls: int
    last: datetime
    decision_id: str
    callers: Callers = NOT_KNOWN
