"""What was not recorded is not counted, and what is read comes from the journal itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.decision import Decision, Outcome
from proxy.web.counted import CountedJournal
from proxy.web.metrics import Metrics
from tests.worlds.conversation import world
from tests.worlds.images import image
from tests.worlds.memory import NOON, MemoryJournal
from tests.worlds.stored import decision, happened

PULLED = decision("d1")


class Full(MemoryJournal):
    """A journal whose disk is full."""

    async def record(self, *events: Event) -> None:
        raise Unavailable("store: disk is full")

    async def decided(self, decision: Decision, event: Event, *, keep: bool = True) -> None:
        raise Unavailable("store: disk is full")


async def test_what_could_not_be_recorded_is_not_counted() -> None:
    metrics = Metrics()
    journal, before = CountedJournal(Full(), metrics), metrics.text()
    with pytest.raises(Unavailable):
        await journal.record(Event(NOON, EventKind.SIGNED), Event(NOON, EventKind.PUSH_NOT_SIGNED))
    with pytest.raises(Unavailable):
        await journal.decided(PULLED, happened(EventKind.PULL_ALLOWED, PULLED))
    assert metrics.text() == before


async def test_what_stopped_a_request_is_counted_also_while_the_store_is_what_fails() -> None:
    metrics = Metrics()
    journal = CountedJournal(Full(), metrics)
    silent = replace(PULLED, outcome=Outcome.INCONCLUSIVE)
    for event in (happened(EventKind.PULL_DENIED, silent), happened(EventKind.PUSH_NOT_SIGNED, silent)):
        with pytest.raises(Unavailable):
            await journal.decided(silent, event)
    text = metrics.text().decode()
    assert "countersign_decisions_inconclusive_total 2.0" in text
    assert "countersign_signing_failures_total 1.0" in text


async def test_a_push_that_could_not_be_signed_is_counted_as_it_is_recorded() -> None:
    """Refusals are kept with their decision, not as bare rows."""
    w = await world()
    metrics = Metrics()
    w.ports = replace(w.ports, journal=CountedJournal(w.ports.journal, metrics))
    w.signer.down = "the token is gone"
    with pytest.raises(Fault, match="was not signed"):
        await w.push(image(), "team/app", "v1")
    assert "countersign_signing_failures_total 1.0" in metrics.text().decode()


async def test_other_events_are_recorded_and_count_as_nothing() -> None:
    metrics, behind = Metrics(), MemoryJournal()
    before = metrics.text()
    journal = CountedJournal(behind, metrics)
    await journal.record(
        *(Event(NOON, kind) for kind in EventKind if kind not in {EventKind.SIGNED, EventKind.PUSH_NOT_SIGNED})
    )
    assert metrics.text() == before
    assert len(behind.events) == len(EventKind) - 2


async def test_what_is_asked_is_answered_by_the_journal_behind() -> None:
    behind = MemoryJournal()
    journal = CountedJournal(behind, Metrics())
    await journal.decided(PULLED, happened(EventKind.PULL_ALLOWED, PULLED))
    await journal.keep_revision("policy", "p1", "text")
    assert await journal.decision("d1") == PULLED
    assert await journal.search(Search(kinds=(EventKind.PULL_ALLOWED,))) == tuple(behind.events)
    assert behind.revisions == {("policy", "p1"): "text"}
