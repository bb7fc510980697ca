"""Metrics, kept here or by other parts. Labels are closed sets: never a repository, tag, user, path (ATTACKS 30)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy import version
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal, JournalEntries, Search
from proxy.journal.problem import Problem, counted
from proxy.oci.operation import Operation
from proxy.registry.ports.overrides import OverrideStore, UnsignedPushes
from proxy.trust.decision import Decision
from proxy.trust.requirement import Outcome
from proxy.web.outermost import Done

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
STATUSES = tuple(f"{hundreds}xx" for hundreds in range(10))
_PAGES = ("token", "d", "i", "help", "front")
KINDS = frozenset({kind.__name__ for kind in Operation.__args__} | {f"page:{page}" for page in _PAGES} | {"other"})


class Metrics:
    """The counters of one process; used by the parts that count, and notified of every public request."""

    def __init__(self) -> None:
        """Start at zero, in a registry of our own."""
        self.registry = CollectorRegistry()
        self.watch_each("build_info", "What serves", ["version"], lambda: {(version(),): 1})
        self._in_flight = 0
        self._requests = self._count("requests", "Requests by operation and status", "kind", "status")
        self._seconds = Times("countersign_request_seconds", "Time to answer", "kind")
        self.registry.register(self._seconds)
        self.watch("requests_in_flight", "Requests being answered", lambda: self._in_flight)
        self._sent = self._count("bytes_sent", "Body bytes sent to clients")
        self._received = self._count("bytes_received", "Body bytes received from clients")
        self._decisions = self._count("decisions", "Decisions", "outcome", "mode", "reason")
        self._excepted = self._count("excepted_pulls", "Pulls that an exception allowed although policy blocks them")
        silence = "Decisions that could not be made: something did not answer"
        self._inconclusive = self._count("decisions_inconclusive", silence)
        self._signatures = self._count("signatures", "Signatures made")
        self._failures = self._count("signing_failures", "Pushes refused because they could not be signed")
        self._silent = self._count("upstream_unavailable", "Requests that upstream did not answer")
        self._errors = self._count("internal_errors", "Requests answered 500: defects of ours")

    def _count(self, name: str, text: str, *labels: str) -> Counts:
        counts = Counts(f"countersign_{name}", text, *labels)
        self.registry.register(counts)
        return counts

    def began(self) -> None:
        """Count a request that began."""
        self._in_flight += 1

    def ended(self, done: Done) -> None:
        """Count a request that ended."""
        kind = done.call.kind if done.call.kind in KINDS else "other"
        self._in_flight -= 1
        self._requests.by[kind, STATUSES[done.status // 100]] += 1
        self._seconds.took(kind, done.seconds)
        self._sent.by[()] += done.sent
        self._received.by[()] += done.call.body.received
        if done.status == 500 and done.error is not None:
            self._errors.by[()] += 1

    def no_upstream(self) -> None:
        """Count a request that upstream did not answer."""
        self._silent.by[()] += 1

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self._decisions.by[decision.outcome, decision.mode, decision.reason or "none"] += 1
        if decision.granted is not None:
            self._excepted.by[()] += 1

    def not_decided(self) -> None:
        """Count a request without a decision, whether or not the journal could record it."""
        self._inconclusive.by[()] += 1

    def signed(self, count: int = 1) -> None:
        """Count signatures made."""
        self._signatures.by[()] += count

    def not_signed(self) -> None:
        """Count a push that was refused because signing failed."""
        self._failures.by[()] += 1

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Export a gauge whose value another part keeps; read at every scrape."""
        Gauge(f"countersign_{name}", text, registry=self.registry).set_function(value)

    def watch_each(
        self, name: str, text: str, labels: Sequence[str], values: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        """Export a gauge with labels from closed sets whose values another part keeps; read at every scrape."""
        self.registry.register(_Each(f"countersign_{name}", text, labels, values))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


class Counts(Collector):
    """A counter for each combination of labels. The library's own counters take a lock and five calls for each step."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        """Start at zero, and without labels also show it."""
        self.by: Counter[tuple[str, ...]] = Counter() if labels else Counter({(): 0})
        self._family = partial(CounterMetricFamily, name, text, labels=labels)

    def collect(self) -> Iterable[Metric]:
        """Return the counts, for a scrape."""
        family = self._family()
        for labels, count in self.by.items():
            family.add_metric(labels, count)
        return [family]


class Times(Collector):
    """How often something took how long, by one label."""

    def __init__(self, name: str, text: str, label: str) -> None:
        """Start with nothing."""
        self._family = partial(HistogramMetricFamily, name, text, labels=[label])
        self._taken: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_SECONDS) + 1))
        self._sums: defaultdict[str, float] = defaultdict(float)

    def took(self, label: str, seconds: float) -> None:
        """Count one that took so long."""
        self._taken[label][bisect_left(_SECONDS, seconds)] += 1
        self._sums[label] += seconds

    def collect(self) -> Iterable[Metric]:
        """Return the histogram, for a scrape."""
        family = self._family()
        for label, taken in self._taken.items():
            upper = [*map(floatToGoString, _SECONDS), "+Inf"]
            family.add_metric([label], list(zip(upper, accumulate(taken), strict=True)), self._sums[label])
        return [family]


class _Each(Collector):
    """A gauge that exports a label only while a value exists for it."""

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


class CountedJournal:
    """A journal that counts the events it passes on; failed requests are counted even if no row could be written.

    An alarm on failures must also work when the store is the part that fails.
    """

    def __init__(self, journal: Journal, metrics: Metrics) -> None:
        """Count the events that this journal records."""
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

    async def entries(self, search: Search) -> JournalEntries:
        """Return matching rows; see the port."""
        return await self._journal.entries(search)

    async def keep_revision(self, kind: str, revision: str, text: str) -> None:
        """Keep the whole text of a revision under its hash."""
        await self._journal.keep_revision(kind, revision, text)

    async def revision(self, kind: str, revision: str) -> str | None:
        """Return the text kept under this hash, or None."""
        return await self._journal.revision(kind, revision)


def watch_interventions(metrics: Metrics, there: OverrideStore, owed: UnsignedPushes) -> None:
    """Export the number of denials, of exceptions, and of pushes that still need a signature."""
    metrics.watch("unsigned_pushes", "Pushed without a signature, and not signed yet", owed.waiting)
    metrics.watch("denials", "Denials in force", lambda: len(there.in_force().denials))
    metrics.watch("exceptions_open", "Exceptions that are open", lambda: len(there.in_force().exceptions))
    metrics.watch(
        "exceptions_unreviewed",
        "Exceptions, open or ended, without a review",
        lambda: sum(each.reviewed is None for each in there.orders().exceptions),
    )


def watch_books(metrics: Metrics, age: Callable[[], float]) -> None:
    """Export the age of this server's view of denials and keys."""
    text = "How long ago denials and keys were read from the store; 0 where no other server writes it"
    metrics.watch("books_age_seconds", text, age)


def watch_signing(metrics: Metrics, health: Callable[[], str | None], failed_over: Callable[[], int]) -> None:
    """Export whether everything signs, and how many key profiles do not sign with their first token."""
    metrics.watch("signing_healthy", "1 while every token and key signs", lambda: float(health() is None))
    metrics.watch("standby_profiles", "Key profiles whose first token does not sign", failed_over)


def watch_problems(metrics: Metrics, now: Callable[[], list[Problem]]) -> None:
    """Export the number of problems that `status` shows."""
    text = "Present problems, as `countersign status` shows them"
    metrics.watch_each("problems", text, ("id", "severity"), lambda: counted(now()))


def watch_key_times(metrics: Metrics, announced: Callable[[], int], next_at: Callable[[], float]) -> None:
    """Export the announced key changes."""
    metrics.watch("key_changes_announced", "Announced changes of keys", announced)
    when = "Time of the next scheduled change of a key, in seconds since 1970; 0: none"
    metrics.watch("next_key_change_timestamp_seconds", when, next_at)


def watch_endings(metrics: Metrics, days: Callable[[], Mapping[str, float]]) -> None:
    """Export the days left until the first expiry of each kind."""
    text = "Days until the first certificate, revocation list or admin token of this kind expires"
    metrics.watch_each("days_until_expiry", text, ("kind",), lambda: {(kind,): left for kind, left in days().items()})
