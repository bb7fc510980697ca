"""Signatures of ours that upstream lost: noticed when an image is judged by our own copy, and put back from it."""

from __future__ import annotations

import asyncio

from proxy.flows.asked import Asked
from proxy.flows.attach import attach, live
from proxy.flows.house import House
from proxy.flows.sign import SIMPLE
from proxy.flows.tags import held
from proxy.flows.write import exists
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Reference, Repository, fallback_tag, signature_tag
from proxy.ports import Credential, ReferrersApi
from proxy.trust.event import Event, Kind
from proxy.trust.ledger import Stage
from proxy.trust.question import Resolved


async def repair(repository: Repository, subject: Resolved, asked: Asked, house: House) -> None:
    """After this, what upstream lost of our signatures is there again, or the journal says it is lost.

    Asked at most once in `Memory.checked`'s time per image. Never raises for the world's sake: the image was judged
    by our own copy, and whoever pulls it is not kept waiting for more than one look.
    """
    place = (repository, subject.digest)
    if place in house.memory.checked:
        return
    house.memory.checked[place] = True
    entries = [e for e in live(await house.ledger.entries(*place), house) if e.stage is Stage.ATTACHED]
    carriers: set[Reference] = {
        signature_tag(subject.digest) if e.key.format == SIMPLE else e.artifact for e in entries if e.artifact
    }
    try:
        bundles = any(e.key.format != SIMPLE for e in entries)
        if bundles and await _in_fallback(repository, subject, asked, house):
            carriers.add(fallback_tag(subject.digest))
        there = await asyncio.gather(*(exists(repository, each, asked, house) for each in carriers))
    except (Unavailable, Corrupt, Fault):
        house.memory.checked.pop(place, None)  # could not look: the next one looks
        return
    lost = [each for each, found in zip(carriers, there, strict=True) if found is None]
    if not lost:
        return
    kind, why = Kind.SIGNATURE_REPAIRED, ""
    ours = Asked(Credential(ours=True), asked.request_id)
    about = Descriptor(subject.media_type, subject.digest, len(subject.body))
    try:
        async with held(repository, (), house, about=[subject.digest]) as lists:
            await attach(repository, about, ours, lists.house, relist=True)
    except (Unavailable, Corrupt, Fault) as refused:
        kind, why = Kind.SIGNATURE_LOST, str(refused)
    await house.journal.record(
        Event(
            at=house.clock.now(),
            kind=kind,
            repository=repository,
            digest=subject.digest,
            request_id=asked.request_id,
            detail={"lost": [str(each) for each in lost], **({"why": why} if why else {})},
        )
    )


async def _in_fallback(repository: Repository, subject: Resolved, asked: Asked, house: House) -> bool:
    """True where ours are listed under the fallback tag as well. Raises Unavailable."""
    api = await house.registry.referrers_api(repository, subject.digest, asked.credential)
    return api is not ReferrersApi.HAS
