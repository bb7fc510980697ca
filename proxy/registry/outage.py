"""The registry behind us does not answer: an outage reads as one, and nothing was judged or denied."""

from __future__ import annotations

from contextlib import suppress

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Told, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.question import Anonymous, name_of


def is_outage(silent: Unavailable) -> bool:
    """True where upstream gave no answer that is one; a store, a token or a budget that failed is something else."""
    return silent.told in (Told.REGISTRY, Told.HEADERS)


async def record_outage(silent: Unavailable, ports: Ports) -> None:
    """Count it: one row an hour, whoever asks for whatever. A store that is down takes the row alone."""
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
