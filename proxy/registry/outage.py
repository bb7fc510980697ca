"""Outages of the upstream registry are reported as outages: nothing was judged or denied."""

from __future__ import annotations

from contextlib import suppress

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Told, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.question import Anonymous, name_of


def is_outage(silent: Unavailable) -> bool:
    """True when upstream gave no valid answer; failures of a store, a token or a budget are not outages."""
    return silent.told in (Told.REGISTRY, Told.HEADERS)


async def record_outage(silent: Unavailable, ports: Ports) -> None:
    """Count the outage: one journal row an hour for all requests. If the store is down too, only the row is lost."""
    event = Event(
        at=ports.clock.now(),
        kind=EventKind.UPSTREAM_UNAVAILABLE,
        who=name_of(Anonymous()),
        policy_revision=ports.rules.current().revision,
        key_revision=ports.keybook.ring().revision,
        detail={"what": silent.what[:500]},
    )
    with suppress(Unavailable):
        await ports.journal.counted(event)
