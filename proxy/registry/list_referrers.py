"""The referrers API: upstream's own, or else its fallback tag with corrected descriptors."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.formats import carrier
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX, Descriptor, Manifest, parse
from proxy.oci.operation import ListReferrers, ListTags
from proxy.oci.reference import Repository, fallback_tag
from proxy.registry.ports.upstream import ReferrersApi
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import examined, read_manifest_bytes, together
from proxy.registry.reading.referrers import from_fallback_tag
from proxy.registry.reading.relay import relay
from proxy.registry.request import Request, Response
from proxy.registry.signing.sign import SIMPLE
from proxy.registry.writing.fallback_tag import note
from proxy.trust.ledger import Stage


async def list_referrers(op: ListReferrers, request: Request, ports: Ports) -> Response:
    """Return the index of referrers of a digest, never 404 (distribution-spec 1.1 "Listing Referrers")."""
    try:
        api = await ports.registry.referrers_api(op.repository, op.digest, request.credential)
    except Unavailable:
        api = ReferrersApi.HAS  # upstream's own answer to this caller explains the problem best
    if api is ReferrersApi.HAS:
        return await relay(op, request, ports)
    refused = await _may_read(op.repository, request, ports)
    if refused is not None:
        return refused
    listed = await from_fallback_tag(op.repository, op.digest, request, ports)
    corrected = await _corrected(op, (listed or ())[: ports.limits.referrers], request, ports)
    if listed is None or len(corrected) < len({d.digest for d in listed[: ports.limits.referrers]}):
        recorded = await _recorded(op, ports)
        corrected = [*corrected, *await _corrected(op, recorded, request, ports)]
        if recorded:
            note(op.repository, fallback_tag(op.digest), False, ports)
    shown = [d for d in corrected if op.artifact_type in (None, d.artifact_type)]
    body = carrier.referrers_index(shown)
    headers = [("content-type", OCI_INDEX), ("content-length", str(len(body)))]
    if op.artifact_type is not None:
        headers.append(("oci-filters-applied", "artifactType"))
    return Response(200, tuple(headers), body)


async def _recorded(op: ListReferrers, ports: Ports) -> tuple[Descriptor, ...]:
    """Return the referrers we attached to the digest: its tag holds foreign content, so no other list has them."""
    entries = await ports.ledger.entries(op.repository, op.digest)
    artifacts = [e.artifact for e in entries if e.stage is Stage.ATTACHED and e.key.format != SIMPLE and e.artifact]
    facts = [await ports.facts.manifest(op.repository, digest) for digest in dict.fromkeys(artifacts)]
    return tuple(Descriptor(fact.media_type, fact.digest, fact.size) for fact in facts if fact is not None)


async def _may_read(repository: Repository, request: Request, ports: Ports) -> Response | None:
    """Return upstream's refusal if this caller may not read here; a missing tag alone would hide the refusal."""
    if ports.rights.may_read(repository, request.credential):
        return None
    answer = await relay(ListTags(repository, n=1), request, ports)
    if answer.relayed is not None:
        await answer.relayed.close()
    return answer if answer.status in (401, 403) else None


async def _corrected(
    op: ListReferrers, listed: Sequence[Descriptor], request: Request, ports: Ports
) -> Sequence[Descriptor]:
    """Return each possible referrer once, as the API would show it; beyond the budget, uncorrected.

    Small manifests first: a referrer is small. After a request runs out of budget, the correction is not tried again
    for some seconds.
    """
    listed = list({d.digest: d for d in listed}.values())
    name = ("listing", op.repository, op.digest, ports.cache.changes(op.repository))
    if name in ports.cache.exhausted:
        return listed
    small_first = sorted(listed, key=lambda d: d.size)
    corrected = await together([_correct(op, d, request, ports) for d in small_first])
    if (why := request.budget.used_up(ports.limits)) is not None:
        ports.cache.exhausted[name] = why
    as_they_are = dict(zip((d.digest for d in small_first), corrected, strict=True))
    return [found for d in listed if (found := as_they_are[d.digest]) is not None]


async def _correct(op: ListReferrers, d: Descriptor, request: Request, ports: Ports) -> Descriptor | None:
    """Return the descriptor as the API would show it; unchanged if the manifest cannot be read.

    None if the manifest has no subject, or another one: the tag then holds a user's own index.
    """
    try:
        # the caller's right to read here was checked just before
        held = ports.cache.bodies.get((op.repository, d.digest))
        if held is not None:
            return _referring(op, held.manifest, len(held.body), d)
        found = await read_manifest_bytes(op.repository, d.digest, request, ports)
        if found is None:
            return d
        body, kind = found
        manifest = await examined(lambda: parse(body, kind or "", ports.limits), body, request, ports)
        return _referring(op, manifest, len(body), d)
    except (Unavailable, Corrupt, Fault):
        return d


def _referring(op: ListReferrers, manifest: Manifest, size: int, d: Descriptor) -> Descriptor | None:
    about = manifest.subject
    return carrier.referrer(manifest, d.digest, size) if about is not None and about.digest == op.digest else None
