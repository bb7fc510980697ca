"""Journal rows about refusals: each caller gets a number of its own per hour, and is only counted beyond that."""

from __future__ import annotations

from collections.abc import Hashable

from proxy.journal.event import Event
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.trust.decision import Decision
from proxy.trust.question import Caller, Named

STRANGERS = "strangers"  # all callers that were not admitted, as one holder; while upstream is silent, all callers


async def record_refusal(
    event: Event, decision: Decision | None, caller: Caller, request: Request, ports: Ports
) -> None:
    """Record a refusal and its decision; beyond `rows_each` an hour only count it. Raises Unavailable."""
    own = ports.cache.rows.own(_holder(event, caller, request, ports), event)
    if not own:
        event = event._replace(repository="", reference="", digest="", decision_id="", detail={})
    if decision is None:
        await ports.journal.counted(event)
    else:
        await ports.journal.decided(decision, event, keep=own)


def _holder(event: Event, caller: Caller, request: Request, ports: Ports) -> Hashable:
    if isinstance(caller, Named):
        return ("name", caller.name)
    return request.network if ports.rights.knows(event.repository, request.credential) else STRANGERS
