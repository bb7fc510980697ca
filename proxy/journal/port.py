"""The journal as its writers and readers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from proxy.journal.event import Event, EventKind
from proxy.oci.reference import Digest, Reference, Repository
from proxy.oci.slices import Slice
from proxy.trust.decision import Decision


@dataclass(frozen=True)
class Search:
    """A journal query; empty fields match everything. At most `limit` rows, newest first, or oldest first.

    `but` are kinds that are left out. `repository` may be a pattern, `digest` and `key` (a fingerprint) the beginning.
    With a `position` the rows are those after it in this order; with `back` those before it.
    """

    kinds: tuple[EventKind, ...] = ()
    repository: str = ""
    digest: str = ""
    since: datetime | None = None
    limit: int = 100
    until: datetime | None = None
    but: tuple[EventKind, ...] = ()
    who: str = ""
    reason: str = ""
    key: str = ""
    oldest_first: bool = False
    position: int | None = None
    back: bool = False

    @property
    def part(self) -> Slice:
        """The rows to return."""
        return Slice(self.limit, () if self.position is None else (self.position,), self.back)


class JournalEntry(NamedTuple):
    """A row of the journal: its position, which never changes, and for a counted row the time of its last event."""

    position: int
    last: datetime
    event: Event


class JournalEntries(NamedTuple):
    """Rows that match, and up to which position no more rows will come (None: up to the last one)."""

    rows: tuple[JournalEntry, ...]
    settled: int | None = None


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
        """Return the events of matching rows."""

    async def entries(self, search: Search) -> JournalEntries:
        """Return matching rows.

        A row that is written later never has a position before one that was returned in ascending order.
        """

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
