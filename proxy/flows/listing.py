"""The referrers API: upstream's own where it has one, else exactly its fallback tag with the descriptors corrected."""

from __future__ import annotations

import asyncio

from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.read import read_manifest_bytes
from proxy.flows.referrers import from_fallback_tag
from proxy.flows.relay import relay
from proxy.formats import carrier
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX, Descriptor, parse
from proxy.oci.operation import ListReferrers, ListTags
from proxy.oci.reference import Repository, digest_of

AT_ONCE = 8


async def list_referrers(op: ListReferrers, asked: Asked, house: House) -> Answer:
    """Return the index of what refers to a digest, never 404 (distribution-spec 1.1 "Listing Referrers")."""
    if await house.registry.has_referrers(op.repository, asked.credential):
        return await relay(op, asked, house)
    refused = await _may_read(op.repository, asked, house)
    if refused is not None:
        return refused
    listed = await from_fallback_tag(op.repository, op.digest, asked.credential, house)
    gate = asyncio.Semaphore(AT_ONCE)
    bounded = listed[: house.limits.referrers]
    corrected = await asyncio.gather(*(_correct(op.repository, d, asked, house, gate) for d in bounded))
    shown = [d for d in corrected if op.artifact_type in (None, d.artifact_type)]
    body = carrier.referrers_index(shown)
    headers = [("content-type", OCI_INDEX), ("content-length", str(len(body)))]
    if op.artifact_type is not None:
        headers.append(("oci-filters-applied", "artifactType"))
    return Answer(200, tuple(headers), body)


async def _may_read(repository: Repository, asked: Asked, house: House) -> Answer | None:
    """Return upstream's refusal where this caller may not read here; a missing tag alone would hide it."""
    if house.rights.may_read(repository, asked.credential):
        return None
    answer = await relay(ListTags(repository, n=1), asked, house)
    if answer.relayed is not None:
        await answer.relayed.close()
    return answer if answer.status in (401, 403) else None


async def _correct(
    repository: Repository, d: Descriptor, asked: Asked, house: House, gate: asyncio.Semaphore
) -> Descriptor:
    """Return the descriptor as the API would have made it; as it was where the manifest cannot be read."""
    try:
        async with gate:
            found = await read_manifest_bytes(repository, d.digest, asked, house)
        if found is None:
            return d
        manifest = parse(found[0], found[1] or "", house.limits)
        return carrier.referrer(manifest, digest_of(found[0]), len(found[0]))
    except (Unavailable, Corrupt, Fault):
        return d
