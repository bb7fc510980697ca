"""Restore our signatures that upstream lost: detected when an image is judged by our own copy."""

from __future__ import annotations

import asyncio

from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Reference, Repository, fallback_tag, signature_tag
from proxy.registry.ports.upstream import Credential, ReferrersApi
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.registry.signing.attach import attach, live
from proxy.registry.signing.sign import SIMPLE
from proxy.registry.writing.tags import held
from proxy.registry.writing.write import exists
from proxy.trust.ledger import Stage
from proxy.trust.question import Resolved


async def repair(repository: Repository, subject: Resolved, request: Request, ports: Ports) -> None:
    """Put our signatures that upstream lost back in place, or record in the journal that they are lost.

    Runs at most once per image per `repair_check_s`. Never raises because of upstream: the pull has already been
    allowed from our own copy, and it waits for one check at most.
    """
    place = (repository, subject.digest)
    if place in ports.cache.checked:
        return
    ports.cache.checked[place] = True
    entries = [e for e in live(await ports.ledger.entries(*place), ports) if e.stage is Stage.ATTACHED]
    carriers: set[Reference] = {
        signature_tag(subject.digest) if e.key.format == SIMPLE else e.artifact for e in entries if e.artifact
    }
    try:
        bundles = any(e.key.format != SIMPLE for e in entries)
        if bundles and await _in_fallback(repository, subject, request, ports):
            carriers.add(fallback_tag(subject.digest))
        there = await asyncio.gather(*(exists(repository, each, request, ports) for each in carriers))
    except (Unavailable, Corrupt, Fault):
        ports.cache.checked.pop(place, None)  # could not look: the next pull checks again
        return
    lost = [each for each, found in zip(carriers, there, strict=True) if found is None]
    if not lost:
        return
    kind, why = EventKind.SIGNATURE_REPAIRED, ""
    ours = Request(Credential(ours=True), request.request_id)
    about = Descriptor(subject.media_type, subject.digest, len(subject.body))
    try:
        async with held(repository, (), ports, about=[subject.digest]) as lists:
            await attach(repository, about, ours, lists.ports, relist=True)
    except (Unavailable, Corrupt, Fault) as refused:
        kind, why = EventKind.SIGNATURE_LOST, str(refused)
    await ports.journal.record(
        ports.event(
            kind,
            None,
            request,
            about=(repository, "", subject.digest),
            detail={"lost": [str(each) for each in lost], **({"why": why} if why else {})},
        )
    )


async def _in_fallback(repository: Repository, subject: Resolved, request: Request, ports: Ports) -> bool:
    """True when our signatures are listed under the fallback tag as well. Raises Unavailable."""
    api = await ports.registry.referrers_api(repository, subject.digest, request.credential)
    return api is not ReferrersApi.HAS
