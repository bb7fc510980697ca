"""A journal that counts what passes through it, so that metrics and record tell the same story."""

from __future__ import annotations

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal, Search
from proxy.trust.decision import Decision, Outcome
from proxy.web.metrics import Metrics


class CountedJournal:
    """The journal behind it. What it records is counted; what stopped a request is counted even where no row could be.

    An alarm on failures must work while the store is what fails.
    """

    def __init__(self, journal: Journal, metrics: Metrics) -> None:
        """Count what this journal records."""
        self._journal = journal
        self._metrics = metrics

    async def record(self, *events: Event) -> None:
        """Append rows; see the port."""
        await self._journal.record(*events)
        self._metrics.signed(sum(event.kind is EventKind.SIGNED for event in events))
        for event in events:
            if event.kind is EventKind.PUSH_NOT_SIGNED:
                self._metrics.not_signed()

    async def decided(self, decision: Decision, event: Event, *, keep: bool = True) -> None:
        """Keep the decision and count it; see the port."""
        if event.kind is EventKind.PUSH_NOT_SIGNED:
            self._metrics.not_signed()
        if decision.outcome is Outcome.INCONCLUSIVE:
            self._metrics.not_decided()
        await self._journal.decided(decision, event, keep=keep)
        self._metrics.decided(decision)

    async def counted(self, event: Event) -> None:
        """Count the event; see the port."""
        if event.kind is EventKind.UPSTREAM_UNAVAILABLE:
            self._metrics.no_upstream()
        await self._journal.counted(event)

    async def decision(self, decision_id: str) -> Decision | None:
        """Return a decision by its id, or None."""
        return await self._journal.decision(decision_id)

    async def search(self, search: Search) -> tuple[Event, ...]:
        """Return matching rows, newest first."""
        return await self._journal.search(search)

    async def keep_revision(self, kind: str, revision: str, text: str) -> None:
        """Keep the whole text of a revision under its hash."""
        await self._journal.keep_revision(kind, revision, text)
