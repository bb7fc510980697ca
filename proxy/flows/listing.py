"""The referrers API: upstream's own where it has one, else exactly its fallback tag with the descriptors corrected."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.read import examined, read_manifest_bytes, together
from proxy.flows.referrers import from_fallback_tag
from proxy.flows.relay import relay
from proxy.formats import carrier
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX, Descriptor, parse
from proxy.oci.operation import ListReferrers, ListTags
from proxy.oci.reference import Repository, digest_of
from proxy.ports import ReferrersApi


async def list_referrers(op: ListReferrers, asked: Asked, house: House) -> Answer:
    """Return the index of what refers to a digest, never 404 (distribution-spec 1.1 "Listing Referrers")."""
    try:
        api = await house.registry.referrers_api(op.repository, op.digest, asked.credential)
    except Unavailable:
        api = ReferrersApi.HAS  # upstream's own answer to this caller says best what is the matter
    if api is ReferrersApi.HAS:
        return await relay(op, asked, house)
    refused = await _may_read(op.repository, asked, house)
    if refused is not None:
        return refused
    listed = await from_fallback_tag(op.repository, op.digest, asked, house)
    corrected = await _corrected(op, listed[: house.limits.referrers], asked, house)
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


async def _corrected(
    op: ListReferrers, listed: Sequence[Descriptor], asked: Asked, house: House
) -> Sequence[Descriptor]:
    """Return each once, as far as the budget goes as the API would have made it: beyond that as it was.

    Small ones first: a manifest that refers to something is small. What one request could not afford is not tried
    again for some seconds.
    """
    listed = list({d.digest: d for d in listed}.values())
    name = ("listing", op.repository, op.digest, house.memory.changes(op.repository))
    if name in house.memory.exhausted:
        return listed
    small_first = sorted(listed, key=lambda d: d.size)
    corrected = await together([_correct(op.repository, d, asked, house) for d in small_first])
    if (why := asked.budget.used_up(house.limits)) is not None:
        house.memory.exhausted[name] = why
    as_they_are = dict(zip((d.digest for d in small_first), corrected, strict=True))
    return [as_they_are[d.digest] for d in listed]


async def _correct(repository: Repository, d: Descriptor, asked: Asked, house: House) -> Descriptor:
    """Return the descriptor as the API would have made it; as it was where the manifest cannot be read."""
    try:
        held = house.memory.bodies.get((repository, d.digest))  # whether this caller may read here was just asked
        if held is not None:
            return carrier.referrer(held.manifest, held.digest, len(held.body))
        found = await read_manifest_bytes(repository, d.digest, asked, house)
        if found is None:
            return d
        body, kind = found
        manifest = await examined(lambda: parse(body, kind or "", house.limits), body, asked, house)
        return carrier.referrer(manifest, digest_of(body), len(body))
    except (Unavailable, Corrupt, Fault):
        return d
