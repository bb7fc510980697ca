"""Values that others keep, shown in the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.journal.problem import Problem, counted
from proxy.registry.ports.overrides import OverrideStore, UnsignedPushes
from proxy.web.metrics import Metrics


def watch_interventions(metrics: Metrics, there: OverrideStore, owed: UnsignedPushes) -> None:
    """Show how many denials and exceptions there are, and how many pushes that are owed a signature."""
    metrics.watch("unsigned_pushes", "Pushed without a signature, and not signed yet", owed.waiting)
    metrics.watch("denials", "Denials in force", lambda: len(there.in_force().denials))
    metrics.watch("exceptions_open", "Exceptions that are open", lambda: len(there.in_force().exceptions))
    metrics.watch(
        "exceptions_unreviewed",
        "Exceptions, open or over, that nobody has reviewed",
        lambda: sum(each.reviewed is None for each in there.orders().exceptions),
    )


def watch_books(metrics: Metrics, age: Callable[[], float]) -> None:
    """Show how old what this server knows of denials and keys may be."""
    text = "How long ago denials and keys were read from the store; 0 where no other server writes it"
    metrics.watch("books_age_seconds", text, age)


def watch_signing(metrics: Metrics, health: Callable[[], str | None], standing: Callable[[], int]) -> None:
    """Show whether everything signs, and for how many key profiles another token than the first does, or none."""
    metrics.watch("signing_healthy", "1 while every token and key signs", lambda: float(health() is None))
    metrics.watch("standby_profiles", "Key profiles whose first token does not sign", standing)


def watch_problems(metrics: Metrics, now: Callable[[], list[Problem]]) -> None:
    """Show how many problems there are, as `status` tells them."""
    text = "What is wrong now, as `countersign status` tells it"
    metrics.watch_each("problems", text, ("id", "severity"), lambda: counted(now()))


def watch_key_times(metrics: Metrics, announced: Callable[[], int], next_at: Callable[[], float]) -> None:
    """Show what is set to happen to keys."""
    metrics.watch("key_changes_announced", "Changes of keys that are announced", announced)
    when = "When the next change of a key is set to happen, in seconds since 1970; 0: none is"
    metrics.watch("next_key_change_timestamp_seconds", when, next_at)


def watch_endings(metrics: Metrics, days: Callable[[], Mapping[str, float]]) -> None:
    """Show how many days are left to the first of each kind of thing that ends."""
    text = "Days to the end of the first certificate, revocation list or admin token of this kind"
    metrics.watch_each("days_until_expiry", text, ("kind",), lambda: {(kind,): left for kind, left in days().items()})
