"""Have a timestamp authority countersign our signatures, once each, before they are attached anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from proxy.formats.table import FORMATS
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Told, Unavailable
from proxy.registry.ports.keys import Timestamper
from proxy.registry.ports_in_use import Ports
from proxy.trust.ledger import Entry, Stage


async def timestamped(entries: Sequence[Entry], request_id: str, ports: Ports) -> tuple[Entry, ...]:
    """Return the entries, with a timestamp token in the ledger for each that wants one and can have one.

    Entries that are already attached keep their bytes. Raises Unavailable when a token is required and cannot be
    obtained: the signature is kept, and the next attempt requests its token again.
    """
    timestamper = ports.timestamper
    if timestamper is None:
        return tuple(entries)
    asking = (_witnessed(entry, timestamper, request_id, ports) for entry in entries)
    found = await asyncio.gather(*asking, return_exceptions=True)  # no request continues after this
    for failure in found:
        if isinstance(failure, BaseException):
            raise failure
    return tuple(each for each in found if isinstance(each, Entry))


async def _witnessed(entry: Entry, timestamper: Timestamper, request_id: str, ports: Ports) -> Entry:
    wants = FORMATS[entry.key.format].certified and entry.stage is Stage.SIGNED and not entry.timestamp
    if not wants or entry.signature is None:
        return entry
    try:
        token = await timestamper.stamp(entry.signature)
    except Unavailable as away:
        if timestamper.required:
            what = f"signed, but not timestamped, which `timestamps.required` asks for: {away.what}"
            raise Unavailable(what, told=Told.TIMESTAMP) from None
        await ports.journal.record(_event(entry, away.what, request_id, ports))
        return entry
    return await ports.ledger.put(replace(entry, timestamp=token))


def _event(entry: Entry, why: str, request_id: str, ports: Ports) -> Event:
    return Event(
        at=ports.clock.now(),
        kind=EventKind.NOT_TIMESTAMPED,
        repository=entry.key.repository,
        reference=entry.key.bound,
        digest=entry.key.digest,
        request_id=request_id,
        detail={"key": entry.key.fingerprint, "format": entry.key.format, "why": why[:500]},
    )
