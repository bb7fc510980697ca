"""What is counted. Labels are closed sets: no repository, tag, user or path ever becomes one (ATTACKS 30)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.oci.operation import Operation
from proxy.trust.decision import Decision, Outcome
from proxy.web.outermost import Done

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_PAGES = ("token", "d", "i", "help", "front")
KINDS = frozenset({kind.__name__ for kind in Operation.__args__} | {f"page:{page}" for page in _PAGES} | {"other"})


class Metrics:
    """The counters of one process; handed to whoever counts, and told of every public request."""

    def __init__(self) -> None:
        """Start at zero, in a registry of our own."""
        self._counter = lru_cache(256)(lambda kind, hundreds: self._requests.labels(kind, f"{hundreds}xx"))
        self._timer = lru_cache(64)(self._seconds_at)
        self._decision = lru_cache(256)(self._decisions_of)
        self.registry = CollectorRegistry()
        at = self.registry
        kinds = ["kind", "status"]
        self._requests = Counter("countersign_requests", "Requests by operation and status", kinds, registry=at)
        self._seconds = Histogram(
            "countersign_request_seconds", "Time to answer", ["kind"], buckets=_SECONDS, registry=at
        )
        self._in_flight = 0
        self.watch("requests_in_flight", "Requests being answered", lambda: self._in_flight)
        self._sent = Counter("countersign_bytes_sent", "Body bytes sent to clients", registry=at)
        self._received = Counter("countersign_bytes_received", "Body bytes received from clients", registry=at)
        says = ["outcome", "mode", "reason"]
        self._decisions = Counter("countersign_decisions", "Decisions", says, registry=at)
        let = "Pulls that an exception let through although policy blocks them"
        self._excepted = Counter("countersign_excepted_pulls", let, registry=at)
        silence = "Decisions that could not be made: something did not answer"
        self._inconclusive = Counter("countersign_decisions_inconclusive", silence, registry=at)
        self._signatures = Counter("countersign_signatures", "Signatures made", registry=at)
        refused = "Pushes refused because they could not be signed"
        self._failures = Counter("countersign_signing_failures", refused, registry=at)
        silent = "Requests that upstream did not answer"
        self._silent = Counter("countersign_upstream_unavailable", silent, registry=at)
        self._errors = Counter("countersign_internal_errors", "Requests answered 500: defects of ours", registry=at)

    def _decisions_of(self, outcome: Outcome, mode: str, reason: str | None) -> Counter:
        return self._decisions.labels(outcome.value, mode, "none" if reason is None else str(reason))

    def _seconds_at(self, kind: str) -> Histogram:
        return self._seconds.labels(kind)

    def began(self) -> None:
        """Count a request that began."""
        self._in_flight += 1

    def ended(self, done: Done) -> None:
        """Count a request that ended."""
        kind = done.call.kind if done.call.kind in KINDS else "other"
        self._in_flight -= 1
        self._counter(kind, done.status // 100).inc()
        self._timer(kind).observe(done.seconds)
        if done.sent:
            self._sent.inc(done.sent)
        if done.call.body.received:
            self._received.inc(done.call.body.received)
        if done.status == 500 and done.error is not None:
            self._errors.inc()

    def no_upstream(self) -> None:
        """Count a request that upstream did not answer."""
        self._silent.inc()

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self._decision(decision.outcome, decision.mode, decision.reason).inc()
        if decision.granted is not None:
            self._excepted.inc()

    def not_decided(self) -> None:
        """Count a request that could not be decided, whether or not a row could say so."""
        self._inconclusive.inc()

    def signed(self, count: int = 1) -> None:
        """Count signatures made."""
        self._signatures.inc(count)

    def not_signed(self) -> None:
        """Count a push that was refused because signing failed."""
        self._failures.inc()

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value that somebody else keeps, asked for at every scrape."""
        Gauge(f"countersign_{name}", text, registry=self.registry).set_function(value)

    def watch_each(
        self, name: str, text: str, labels: Sequence[str], values: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        """Show values that somebody else keeps, by labels out of closed sets, asked for at every scrape."""
        self.registry.register(_Each(f"countersign_{name}", text, labels, values))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _Each(Collector):
    """A gauge whose labels are there only where there is a value."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], values: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        self._family = partial(GaugeMetricFamily, name, text, labels=list(labels))
        self._values = values

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        for name, value in self._values().items():
            family.add_metric(name, value)
        return [family]
