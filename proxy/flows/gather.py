"""Collect what is said about a digest: bounded, nothing swallowed, and no further than the rule needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from proxy.flows.asked import Asked
from proxy.flows.certified import by_certificate
from proxy.flows.house import House
from proxy.flows.read import read_blob, read_manifest
from proxy.flows.referrers import referrers_of
from proxy.flows.sign import signing_by
from proxy.formats.format import Layer
from proxy.formats.table import FORMATS, announces_signatures, claimed_by
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import INDEXES, MANIFESTS, OCI_CONFIG, OCI_EMPTY, Descriptor, Manifest
from proxy.oci.reference import Digest, Repository, signature_tag
from proxy.trust.evidence import CouldNotLook, Evidence, Finding, Found, NotExamined, Place, Rejected, Verified
from proxy.trust.keys import KeyRing, fingerprint
from proxy.trust.ledger import Entry, Stage
from proxy.trust.reason import Reason

Enough = Callable[[Evidence], bool]
Looked = list[Found | CouldNotLook | NotExamined]
AT_ONCE = 8
T = TypeVar("T")


async def gather(
    repository: Repository, subject: Digest, ring: KeyRing, enough: Enough, asked: Asked, house: House
) -> Evidence:
    """Return the evidence about this digest: our own copies first, then `.sig`, then referrers; stops when enough."""
    evidence = Evidence(subject)
    for place in (Place.LEDGER, Place.SIG_TAG, Place.REFERRERS):
        try:
            async with asyncio.timeout(house.limits.gather_deadline_s):
                looked = await _look(place, repository, subject, ring, asked, house)
        except TimeoutError:
            looked = [CouldNotLook(place, f"no answer within {house.limits.gather_deadline_s:g} s")]
        except Unavailable as silent:
            looked = [CouldNotLook(place, silent.what)]
        except Corrupt as lie:
            looked = [CouldNotLook(place, lie.what)]
        except Fault as bad:
            large = bad.reason == Reason.TOO_LARGE or bad.code == "SIZE_INVALID"
            rejected = Rejected(Reason.BAD_SIGNATURE, str(place), bad.message)
            looked = [NotExamined(place, 1) if large else Found(place, (rejected,))]
        evidence = replace(evidence, places=(*evidence.places, *looked))
        if enough(evidence):
            return evidence
    return evidence


async def _look(
    place: Place, repository: Repository, subject: Digest, ring: KeyRing, asked: Asked, house: House
) -> Looked:
    match place:
        case Place.LEDGER:
            return await _ledger(repository, subject, ring, house)
        case Place.SIG_TAG:
            manifest = await read_manifest(repository, signature_tag(subject), asked, house)
            return await _layers(place, repository, [manifest] if manifest else [], subject, ring, asked, house)
        case Place.REFERRERS:
            return await _referrers(repository, subject, ring, asked, house)
        case Place.PARENTS:
            return []  # judged, not read: `judge` goes up to them


async def _ledger(repository: Repository, subject: Digest, ring: KeyRing, house: House) -> Looked:
    """Examine our own stored copies: they verify like anybody's, and need no upstream request."""
    findings: list[Finding] = []
    for entry in await house.ledger.entries(repository, subject):
        form = FORMATS.get(entry.key.format)
        if entry.stage is not Stage.ATTACHED or entry.signature is None or form is None:
            continue
        key = next((k for k in ring.ours if fingerprint(k.spki) == entry.key.fingerprint), None)
        if key is not None and (key.chain or not form.certified):
            try:
                blob = form.blob(entry.message, entry.signature, signing_by(key, entry.timestamp))
            except ValueError as altered:
                findings.append(Rejected(Reason.BAD_SIGNATURE, form.name, f"our own copy was altered: {altered}"))
                continue
            layer = Layer(Descriptor(blob.media_type, subject, len(blob.data), blob.annotations), blob.data)
            findings += [_recorded(f, entry) for f in form.examine(layer, subject, ring.all_verifiers())]
    return [Found(Place.LEDGER, tuple(findings))]


def _recorded(finding: Finding, entry: Entry) -> Finding:
    """Return the finding with the time our ledger has for exactly this signature."""
    if isinstance(finding, Verified) and finding.fingerprint == entry.key.fingerprint:
        return replace(finding, recorded=entry.at)
    return finding


async def _referrers(repository: Repository, subject: Digest, ring: KeyRing, asked: Asked, house: House) -> Looked:
    listed = await referrers_of(repository, subject, asked.credential, house)
    signing = (d for d in listed.descriptors if _may_sign(d))
    ordered = sorted(signing, key=lambda d: not announces_signatures(d.artifact_type or ""))
    bound = house.limits.signatures_per_digest
    opened = await _together([_open(repository, d, asked, house) for d in ordered[:bound]])
    manifests = [m for m in opened if isinstance(m, Manifest)]
    looked = await _layers(Place.REFERRERS, repository, manifests, subject, ring, asked, house)
    silent = listed.silent or next((m.what for m in opened if isinstance(m, Unavailable)), None)
    if silent is not None:  # beside what was found, which may be enough
        looked.append(CouldNotLook(Place.REFERRERS, silent))
    missed = listed.beyond + max(len(ordered) - bound, 0)
    return [*looked, *([NotExamined(Place.REFERRERS, missed)] if missed else [])]


def _may_sign(descriptor: Descriptor) -> bool:
    """False only for referrers that say they are something else; fallback entries often say nothing useful (WIRE 3)."""
    silent = {None, "", OCI_EMPTY, OCI_CONFIG, *MANIFESTS, *INDEXES}
    kind = descriptor.artifact_type
    return kind in silent or announces_signatures(kind or "") or "cosign" in (kind or "")


async def _open(
    repository: Repository, descriptor: Descriptor, asked: Asked, house: House
) -> Manifest | Unavailable | None:
    if descriptor.size > house.limits.manifest_bytes:
        return None
    try:
        return await read_manifest(repository, descriptor.digest, asked, house)
    except Unavailable as silent:
        return silent
    except (Corrupt, Fault):
        return None  # one unreadable referrer must not hide a good one; it simply does not count


async def _layers(
    place: Place,
    repository: Repository,
    manifests: Sequence[Manifest],
    subject: Digest,
    ring: KeyRing,
    asked: Asked,
    house: House,
) -> Looked:
    """Examine every layer that claims a format, whichever place it was found in."""
    layers = [layer for m in manifests for layer in m.layers if claimed_by(layer.media_type)]
    bound = house.limits.signatures_per_digest
    answers = await _together([_examine(repository, d, subject, ring, asked, house) for d in layers[:bound]])
    findings = tuple(f for a in answers if not isinstance(a, Unavailable) for f in a)
    looked: Looked = [Found(place, findings)]
    if silent := [a for a in answers if isinstance(a, Unavailable)]:
        looked.append(CouldNotLook(place, silent[0].what))
    if len(layers) > bound:
        looked.append(NotExamined(place, len(layers) - bound))
    return looked


async def _examine(
    repository: Repository, d: Descriptor, subject: Digest, ring: KeyRing, asked: Asked, house: House
) -> tuple[Finding, ...] | Unavailable:
    form = claimed_by(d.media_type)
    if form is None:
        return ()
    try:
        data = await read_blob(repository, d, asked, house)
    except Unavailable as silent:
        return silent
    except (Corrupt, Fault) as bad:
        return (Rejected(Reason.BAD_SIGNATURE, form.name, str(bad)),)
    layer = Layer(d, data)
    try:
        certified = await by_certificate(layer, subject, ring.keyless, house.keyless)
    except Unavailable as silent:
        return silent
    return form.examine(layer, subject, ring.all_verifiers(), ring.authorities) if certified is None else certified


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run these a few at a time and return their results in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await job

    return list(await asyncio.gather(*(one(job) for job in work)))
