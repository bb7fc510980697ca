"""Have our signatures countersigned by a timestamp authority, once each, before they are attached anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from proxy.flows.house import House
from proxy.formats.table import FORMATS
from proxy.oci.faults import Told, Unavailable
from proxy.ports.timestamper import Timestamper
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Entry, Stage


async def witnessed(entries: Sequence[Entry], request_id: str, house: House) -> tuple[Entry, ...]:
    """Return the entries, with a token in the ledger for each that wants one and can have one.

    What is attached already stays the bytes it is. Raises Unavailable where a token is required and cannot be had: the
    signature is kept, and the next attempt asks for its token again.
    """
    witness = house.witness
    if witness is None:
        return tuple(entries)
    asking = (_witnessed(entry, witness, request_id, house) for entry in entries)
    found = await asyncio.gather(*asking, return_exceptions=True)  # none goes on when this is over
    for failure in found:
        if isinstance(failure, BaseException):
            raise failure
    return tuple(each for each in found if isinstance(each, Entry))


async def _witnessed(entry: Entry, witness: Timestamper, request_id: str, house: House) -> Entry:
    wants = FORMATS[entry.key.format].certified and entry.stage is Stage.SIGNED and not entry.timestamp
    if not wants or entry.signature is None:
        return entry
    try:
        token = await witness.stamp(entry.signature)
    except Unavailable as away:
        if witness.required:
            what = f"signed, but not timestamped, which `timestamps.required` asks for: {away.what}"
            raise Unavailable(what, told=Told.TIMESTAMP) from None
        await house.journal.record(_event(entry, away.what, request_id, house))
        return entry
    return await house.ledger.put(replace(entry, timestamp=token))


def _event(entry: Entry, why: str, request_id: str, house: House) -> Event:
    return Event(
        at=house.clock.now(),
        kind=Kind.NOT_TIMESTAMPED,
        repository=entry.key.repository,
        reference=entry.key.bound,
        digest=entry.key.digest,
        request_id=request_id,
        detail={"key": entry.key.fingerprint, "format": entry.key.format, "why": why[:500]},
    )
