"""Counters count, and their labels stay few whatever is asked (ATTACKS 30)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.trust.decision import Decision
from proxy.trust.requirement import Outcome
from proxy.web.app import admin_app, public_app
from proxy.web.metrics import CountedJournal, Metrics, watch_key_times, watch_signing
from proxy.web.outermost import Edge
from tests.unit.web.test_pages import DENIED
from tests.worlds.conversation import world
from tests.worlds.images import image
from tests.worlds.listener import QUICK, Recorder, body_of, in_memory
from tests.worlds.memory import NOON, MemoryJournal
from tests.worlds.stored import decision, happened


async def test_requests_are_counted_by_operation_and_status() -> None:
    metrics = Metrics()
    edge = Edge(QUICK, watch=(metrics,))
    async with in_memory(public_app(Recorder(), {}), edge) as proxy:
        await proxy.get("/v2/app/manifests/v1")
        await proxy.get("/v2/app/manifests/v2")
        await proxy.get("/nowhere")
    text = metrics.text().decode()
    assert 'countersign_requests_total{kind="PullManifest",status="2xx"} 2.0' in text
    assert 'countersign_requests_total{kind="other",status="4xx"} 1.0' in text
    assert "countersign_requests_in_flight 0.0" in text
    assert "countersign_bytes_sent_total" in text


async def test_names_never_become_labels() -> None:
    metrics = Metrics()
    edge = Edge(QUICK, watch=(metrics,))
    async with in_memory(public_app(Recorder(), {}), edge) as proxy:
        for at in range(300):
            await proxy.get(f"/v2/team{at}/app{at}/manifests/v{at}", f"User-Agent: agent{at}")
            await proxy.get(f"/x{at}", method=("GET", "PUT", "PATCH")[at % 3])
    assert len(metrics.text().splitlines()) < 200
    assert b"team" not in metrics.text()


async def test_decisions_signatures_and_failures_are_counted_as_they_are_recorded() -> None:
    metrics = Metrics()
    journal = CountedJournal(MemoryJournal(), metrics)
    at = datetime(2026, 11, 22, tzinfo=UTC)
    await journal.record(Event(at, EventKind.SIGNED), Event(at, EventKind.SIGNED), Event(at, EventKind.PUSH_NOT_SIGNED))
    await journal.decided(DENIED, Event(at, EventKind.PULL_DENIED, decision_id=DENIED.id))
    text = metrics.text().decode()
    assert "countersign_signatures_total 2.0" in text
    assert "countersign_signing_failures_total 1.0" in text
    assert 'countersign_decisions_total{mode="enforce",outcome="failed",reason="unsigned"} 1.0' in text
    assert "countersign_decisions_inconclusive_total 0.0" in text
    assert await journal.decision(DENIED.id) == DENIED


async def test_the_admin_listener_answers_probes_and_scrapes() -> None:
    metrics = Metrics()
    metrics.watch("connections", "Open connections", lambda: 7)
    why: list[str] = []
    app = admin_app(metrics.text, lambda: why[0] if why else None)
    async with in_memory(app, Edge(Limits())) as admin:
        assert (await admin.get("/livez")).startswith(b"HTTP/1.1 200 ")
        assert (await admin.get("/readyz")).startswith(b"HTTP/1.1 200 ")
        why.append("draining")
        ready = await admin.get("/readyz")
        assert (await admin.get("/livez")).startswith(b"HTTP/1.1 200 ")
        scrape = await admin.get("/metrics")
        assert (await admin.get("/metrics", method="POST")).startswith(b"HTTP/1.1 405 ")
        assert (await admin.get("/v2/")).startswith(b"HTTP/1.1 404 ")
    assert ready.startswith(b"HTTP/1.1 503 ")
    assert b"draining" in ready
    assert b"countersign_connections 7.0" in body_of(scrape)


async def test_a_defect_is_counted_as_ours() -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def deny(*_: object) -> None:
        raise Fault("UNKNOWN", "upstream's own", status=500)

    metrics = Metrics()
    for handle in (fail, deny):
        async with in_memory(public_app(handle, {}), Edge(QUICK, watch=(metrics,))) as proxy:  # type: ignore[arg-type]
            await proxy.get("/v2/")
    assert b"countersign_internal_errors_total 1.0" in metrics.text()


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
    with pytest.raises(Fault, match="the signing device is unavailable"):
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


def test_what_others_keep_is_asked_for_at_every_scrape() -> None:
    metrics, standing, soon, at = Metrics(), [0], [0], [0.0]
    watch_signing(metrics, lambda: "away" if standing[0] else None, lambda: standing[0])
    watch_key_times(metrics, lambda: soon[0], lambda: at[0])
    for number in (0, 1):
        standing[0], soon[0], at[0] = number, number * 2, number * 3.5
        text = metrics.text().decode()
        assert f"countersign_signing_healthy {1 - number}.0" in text
        assert f"countersign_standby_profiles {number}.0" in text
        assert f"countersign_key_changes_announced {number * 2}.0" in text
        assert f"countersign_next_key_change_timestamp_seconds {number * 3.5}" in text
