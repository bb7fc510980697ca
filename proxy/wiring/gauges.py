"""Values that others keep, shown in the metrics."""

from __future__ import annotations

from proxy.ports import Interventions, Owed
from proxy.web.metrics import Metrics


def watch_interventions(metrics: Metrics, there: Interventions, owed: Owed) -> None:
    """Show how many denials and exceptions there are, and how many pushes that are owed a signature."""
    metrics.watch("unsigned_pushes", "Pushed without a signature, and not signed yet", owed.waiting)
    metrics.watch("denials", "Denials in force", lambda: len(there.standing().denials))
    metrics.watch("exceptions_open", "Exceptions that are open", lambda: len(there.standing().exceptions))
    metrics.watch(
        "exceptions_unreviewed",
        "Exceptions, open or over, that nobody has reviewed",
        lambda: sum(each.reviewed is None for each in there.orders().exceptions),
    )
