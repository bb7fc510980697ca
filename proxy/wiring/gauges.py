"""Values that others keep, shown in the metrics."""

from __future__ import annotations

from proxy.ports import Interventions
from proxy.web.metrics import Metrics


def watch_interventions(metrics: Metrics, there: Interventions) -> None:
    """Show how many denials and exceptions there are."""
    metrics.watch("denials", "Denials in force", lambda: len(there.standing().denials))
    metrics.watch("exceptions_open", "Exceptions that are open", lambda: len(there.standing().exceptions))
    metrics.watch(
        "exceptions_unreviewed",
        "Exceptions, open or over, that nobody has reviewed",
        lambda: sum(each.reviewed is None for each in there.orders().exceptions),
    )
