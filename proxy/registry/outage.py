"""Outages of the upstream registry are reported as outages: nothing was judged or denied."""

from __future__ import annotations

from contextlib import suppress

from proxy.journal.event import EventKind
from proxy.oci.faults import Told, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.question import Anonymous


def is_outage(silent: Unavailable) -> bool:
    """True when upstream gave no valid answer; failures of a store, a token or a budget are not outages."""
    return silent.told in (Told.REGISTRY, Told.HEADERS)


async def record_outage(silent: Unavailable, ports: Ports) -> None:
    """Count the outage: one journal row an hour for all requests. If the store is down too, only the row is lost."""
    with suppress(Unavailable):
        event = ports.event(EventKind.UPSTREAM_UNAVAILABLE, Anonymous(), detail={"what": silent.what})
        await ports.journal.counted(event)
