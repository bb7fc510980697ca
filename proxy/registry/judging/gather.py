"""Collect the signatures of a digest: bounded, no failure hidden, and no further than the policy needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from proxy.formats.format import Format, Layer
from proxy.formats.table import FORMATS, announces_signatures, claimed_by
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.manifest import INDEXES, MANIFESTS, OCI_CONFIG, OCI_EMPTY, Descriptor, Manifest
from proxy.oci.reference import Digest, Repository, signature_tag
from proxy.registry.keyless import by_certificate
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import examined, read_blob, read_manifest, together
from proxy.registry.reading.referrers import referrers_of
from proxy.registry.request import Request
from proxy.registry.signing.sign import names_a_tag, signing_by
from proxy.trust.evidence import (
    CouldNotLook,
    Evidence,
    NotExamined,
    Rejected,
    SignatureCheck,
    Source,
    SourceResult,
    Verified,
)
from proxy.trust.keys import KeyRing
from proxy.trust.ledger import Entry, Stage
from proxy.trust.reason import Reason

Sufficient = Callable[[Evidence], bool]
Searched = list[SourceResult | CouldNotLook | NotExamined]


def never() -> bool:
    """Return False: no other request has reached a decision meanwhile."""
    return False


async def gather(
    repository: Repository,
    subject: Digest,
    ring: KeyRing,
    enough: Sufficient,
    request: Request,
    ports: Ports,
    *,
    begun: Evidence | None = None,
    settled: Callable[[], bool] = never,
) -> Evidence:
    """Return the evidence about this digest: our own copies first, then `.sig`, then referrers; stops when enough.

    Each source gets half of the remaining budget, so that an earlier source cannot starve a later one. One caller
    searches at a time, whatever the credential; callers that waited stop if the question is `settled`. `begun` is the
    result of `from_ledger`.
    """
    evidence = begun or await from_ledger(repository, subject, ring, request, ports)
    if enough(evidence):
        return evidence
    async with ports.cache.lock(("gather", repository, subject)):
        for place in (Source.SIG_TAG, Source.REFERRERS):
            if settled():
                break
            looked = await _afforded(place, repository, subject, ring, request, ports)
            evidence = replace(evidence, sources=(*evidence.sources, *looked))
            if enough(evidence):
                break
    return evidence


async def from_ledger(
    repository: Repository, subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> Evidence:
    """Return the evidence from our own copies, without any upstream request."""
    looked, _ = await _looked(Source.LEDGER, repository, subject, ring, request, ports)
    return Evidence(subject, tuple(looked))


async def _afforded(
    place: Source, repository: Repository, subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> Searched:
    """Search this source with half of the remaining budget. If the source is too large, skip it for some seconds.

    The skip applies to every credential: the amount of data does not depend on the caller. It ends as soon as a
    signature is added or removed here.
    """
    cache, limits = ports.cache, ports.limits
    name = (place, repository, subject, cache.changes(repository))
    if (known := cache.exhausted.get(name)) is not None:
        return [CouldNotLook(place, f"{known}, found less than {limits.exhausted_s:g} s ago", Told.MUCH)]
    part = request.part(limits)
    looked, late = await _looked(place, repository, subject, ring, part, ports)
    why = late or part.budget.used_up(limits)
    if why is not None and part.budget.is_large(limits):
        cache.exhausted[name] = why
    return looked


async def _looked(
    place: Source, repository: Repository, subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> tuple[Searched, str | None]:
    """Return the results from this source, failures included; and, after a timeout, why they are incomplete."""
    late = None
    try:
        async with asyncio.timeout(ports.limits.gather_deadline_s):
            return await _look(place, repository, subject, ring, request, ports), None
    except TimeoutError:
        late = f"no answer within {ports.limits.gather_deadline_s:g} s"
        looked: Searched = [CouldNotLook(place, late, Told.LATE)]
    except Unavailable as silent:
        looked = [CouldNotLook(place, silent.what, silent.told)]
    except Corrupt as lie:
        looked = [CouldNotLook(place, lie.what, lie.told)]
    except Fault as bad:
        large = bad.reason == Reason.TOO_LARGE or bad.code == "SIZE_INVALID"
        rejected = Rejected(Reason.BAD_SIGNATURE, str(place), bad.message)
        looked = [NotExamined(place, 1) if large else SourceResult(place, (rejected,))]
    return looked, late


async def _look(
    place: Source, repository: Repository, subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> Searched:
    match place:
        case Source.LEDGER:
            return await _ledger(repository, subject, ring, ports)
        case Source.SIG_TAG:
            manifest = await read_manifest(repository, signature_tag(subject), request, ports)
            return await _layers(place, repository, [manifest] if manifest else [], subject, ring, request, ports)
        case Source.REFERRERS:
            return await _referrers(repository, subject, ring, request, ports)
        case Source.PARENTS:
            return []  # judged, not read: `judge` walks up to the parents


async def _ledger(repository: Repository, subject: Digest, ring: KeyRing, ports: Ports) -> Searched:
    """Examine our own stored copies: they are verified like any other signature, without an upstream request."""
    findings: list[SignatureCheck] = []
    entries = await ports.ledger.entries(repository, subject)
    attached = [e for e in entries if e.stage is Stage.ATTACHED and e.signature is not None and e.key.format in FORMATS]
    # Signatures that name no tag come first: one per key, however many tags there were.
    attached.sort(key=lambda e: names_a_tag(e.key.bound))
    bound = ports.limits.signatures_per_digest
    verifiers = ring.all_verifiers()
    for entry in attached[:bound]:
        form, key = FORMATS[entry.key.format], ring.find(entry.key.fingerprint)
        if key is not None and (key.chain or not form.certified):
            try:
                blob = form.blob(entry.message, entry.signature or b"", signing_by(key, entry.timestamp))
            except ValueError as altered:
                findings.append(Rejected(Reason.BAD_SIGNATURE, form.name, f"our own copy was altered: {altered}"))
                continue
            layer = Layer(Descriptor(blob.media_type, subject, len(blob.data), blob.annotations), blob.data)
            mine = [v for v in verifiers if v.fingerprint == entry.key.fingerprint]
            findings += [_recorded(f, entry) for f in form.examine(layer, subject, mine)]
    missed = len(attached) - bound
    return [SourceResult(Source.LEDGER, tuple(findings)), *([NotExamined(Source.LEDGER, missed)] if missed > 0 else [])]


def _recorded(finding: SignatureCheck, entry: Entry) -> SignatureCheck:
    """Return the finding with the ledger's time of exactly this signature."""
    if isinstance(finding, Verified) and finding.fingerprint == entry.key.fingerprint:
        return replace(finding, recorded=entry.at)
    return finding


async def _referrers(
    repository: Repository, subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> Searched:
    listed = await referrers_of(repository, subject, request, ports)
    signing = (d for d in listed.descriptors if _may_sign(d))
    ordered = sorted(signing, key=lambda d: (not announces_signatures(d.artifact_type or ""), d.size))
    bound = ports.limits.signatures_per_digest
    opened = await together([_open(repository, d, request, ports) for d in ordered[:bound]])
    manifests = [m for m in opened if isinstance(m, Manifest)]
    looked = await _layers(Source.REFERRERS, repository, manifests, subject, ring, request, ports)
    silent = listed.silent or next((m for m in opened if isinstance(m, Unavailable)), None)
    if silent is not None:  # added to the results, which may be sufficient
        looked.append(CouldNotLook(Source.REFERRERS, silent.what, silent.told))
    missed = listed.beyond + max(len(ordered) - bound, 0)
    return [*looked, *([NotExamined(Source.REFERRERS, missed)] if missed else [])]


def _may_sign(descriptor: Descriptor) -> bool:
    """False only for referrers that declare another type; fallback tag entries often declare nothing (WIRE 3)."""
    silent = {None, "", OCI_EMPTY, OCI_CONFIG, *MANIFESTS, *INDEXES}
    kind = descriptor.artifact_type
    return kind in silent or announces_signatures(kind or "") or "cosign" in (kind or "")


async def _open(
    repository: Repository, descriptor: Descriptor, request: Request, ports: Ports
) -> Manifest | Unavailable | None:
    if descriptor.size > ports.limits.manifest_bytes:
        return None
    try:
        return await read_manifest(repository, descriptor.digest, request, ports)
    except Unavailable as silent:
        return silent
    except (Corrupt, Fault):
        return None  # one unreadable referrer must not hide a good one; it is not counted


async def _layers(
    place: Source,
    repository: Repository,
    manifests: Sequence[Manifest],
    subject: Digest,
    ring: KeyRing,
    request: Request,
    ports: Ports,
) -> Searched:
    """Examine every layer that claims a signature format, in any source; equal layers once, small ones first."""
    claiming = (layer for m in manifests for layer in m.layers if claimed_by(layer.media_type))
    layers = list({_mark(layer): layer for layer in claiming}.values())
    bound = ports.limits.signatures_per_digest
    same: dict[Digest, list[Descriptor]] = {}
    for layer in layers[:bound]:
        same.setdefault(layer.digest, []).append(layer)
    ordered = sorted(same.values(), key=lambda each: max(d.size for d in each))
    answers = [
        a
        for each in await together([_examine(repository, d, subject, ring, request, ports) for d in ordered])
        for a in each
    ]
    findings = tuple(a for a in answers if not isinstance(a, Unavailable))
    looked: Searched = [SourceResult(place, findings)]
    if silent := [a for a in answers if isinstance(a, Unavailable)]:
        looked.append(CouldNotLook(place, silent[0].what, silent[0].told))
    if len(layers) > bound:
        looked.append(NotExamined(place, len(layers) - bound))
    return looked


def _mark(layer: Descriptor) -> tuple[object, ...]:
    return (layer.digest, layer.media_type, layer.size, *sorted(layer.annotations.items()))


async def _examine(
    repository: Repository, same: Sequence[Descriptor], subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> list[SignatureCheck | Unavailable]:
    """Return the findings from layers that share one blob and differ in annotations; the blob is read once."""
    found: list[SignatureCheck | Unavailable] = []
    data: bytes | None = None
    for d in sorted(same, key=lambda each: -each.size):
        form = claimed_by(d.media_type)
        if form is None:
            continue
        try:
            request.budget.spend(ports.limits, signatures=1)
            if data is None:
                data = await read_blob(repository, d, request, ports)
            if len(data) > d.size:
                raise Fault("SIZE_INVALID", f"{d.digest} has {len(data)} bytes, its descriptor says {d.size}")
            found += await _examined(form, Layer(d, data), subject, ring, request, ports)
        except Unavailable as silent:
            return [*found, silent]
        except Corrupt as lie:  # whatever the other layers say
            return [*found, Rejected(Reason.BAD_SIGNATURE, form.name, lie.told)]
        except Fault as bad:
            found.append(Rejected(Reason.BAD_SIGNATURE, form.name, bad.message))
    return found


async def _examined(
    form: Format, layer: Layer, subject: Digest, ring: KeyRing, request: Request, ports: Ports
) -> tuple[SignatureCheck, ...]:
    certified = await by_certificate(layer, subject, ring.keyless, ports.keyless)
    if certified is not None:
        return certified
    return await examined(
        lambda: form.examine(layer, subject, ring.all_verifiers(), ring.authorities), layer.data, request, ports
    )
