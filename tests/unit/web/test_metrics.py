"""Counters count, and their labels stay few whatever is asked (ATTACKS 30)."""

from datetime import UTC, datetime

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.web.admin import admin_app
from proxy.web.app import public_app
from proxy.web.counted import CountedJournal
from proxy.web.metrics import Metrics
from proxy.web.outermost import Edge
from tests.unit.web.test_pages import DENIED
from tests.worlds.listener import QUICK, Recorder, body_of, in_memory
from tests.worlds.memory import MemoryJournal


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
