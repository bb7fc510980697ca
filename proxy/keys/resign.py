"""Sign images again: images in the ledger get signatures of their profile's active key beside the existing ones.

For images whose key is compromised or about to be retired, and for images that missed an overlap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.jobs.job import Job
from proxy.jobs.run import Step
from proxy.oci.faults import Corrupt, Fault, NotFound, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports.facts import Signed
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.resolve import resolve
from proxy.registry.request import Request, Response
from proxy.registry.signing.attach import attach, due
from proxy.registry.signing.sign import sign, signers_now
from proxy.registry.writing.tags import held
from proxy.trust.actor import Actor
from proxy.trust.ledger import Entry, Stage

RESIGN = "resign"  # the kind of these jobs
_PART = 100  # images read from the ledger at once
_TOGETHER = 4  # images processed at once: pushes use the same token
_NAMED = 20  # most failed images named in the result; all are counted
_MADE = frozenset({Stage.SIGNED, Stage.ATTACHED})


def keys_of(profile: str, ports: Ports) -> tuple[str, ...]:
    """Return the fingerprints of all keys the profile has ever had. Raises Fault if no key signs for it now."""
    ring = ports.keybook.ring()
    if ring.active(profile) is None:
        there = ", ".join(dict.fromkeys(k.profile for k in ring.ours if ring.active(k.profile))) or "none"
        raise NotFound(f"no key signs for profile {profile[:80]!a}; profiles with one: {there}")
    return tuple(key.fingerprint for key in ring.ours if key.profile == profile)


async def resign(job: Job, step: Step, ports: Ports, signed: Signed) -> Mapping[str, Any]:
    """Return the number of images signed, already signed, gone and failed. Memory use is bounded by `_PART`.

    Raises Stop, Fault (no active key), Unavailable if the token or the store does not answer.
    """
    profile, counts = str(job.asked["profile"]), _counts(job.result)
    keys = keys_of(profile, ports)
    total, done = await signed.count(keys, job.repository), job.done
    before, _, digest = job.cursor.partition("@")
    while part := await signed.images(keys, job.repository, (before, digest), _PART):
        for at in range(0, len(part), _TOGETHER):
            some = part[at : at + _TOGETHER]
            for image, (outcome, why) in zip(some, await _all(some, profile, job, ports), strict=True):
                counts[outcome] += 1
                if why and len(counts["named"]) < _NAMED:
                    counts["named"] = [*counts["named"], f"{image[0]}@{image[1]}: {why[:200]}"]
            done += len(some)
            before, digest = some[-1]
            await step(done, max(total, done), f"{before}@{digest}", dict(counts))
    return counts


def _counts(before: Mapping[str, Any]) -> dict[str, Any]:
    return {"signed": 0, "there": 0, "gone": 0, "failed": 0, "named": [], **before}


async def _all(
    images: Sequence[tuple[Repository, Digest]], profile: str, job: Job, ports: Ports
) -> list[tuple[str, str]]:
    """Return the outcome for each image, once all have ended. Raises Unavailable if upstream was away for all."""
    made = await asyncio.gather(*(_again(*image, profile, job, ports) for image in images), return_exceptions=True)
    outcomes: list[tuple[str, str]] = []
    for outcome in made:
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes.append(outcome)
    if all(outcome == "away" for outcome, _ in outcomes):
        raise Unavailable(outcomes[0][1])
    return [("failed" if outcome == "away" else outcome, why) for outcome, why in outcomes]


async def _again(repository: Repository, digest: Digest, profile: str, job: Job, ports: Ports) -> tuple[str, str]:
    """Return the outcome for one image, and why it is not signed. Raises Unavailable if the token is away."""
    entries = [e for e in due(await ports.ledger.entries(repository, digest)) if e.stage in _MADE]
    missing = _missing(entries, profile, ports)
    if not missing:
        return "there", ""
    if (denial := await denied(repository, digest, ports)) is not None:
        return "failed", f"an operator denied {denial.target}"
    request = Request(Credential(ours=True), f"job-{job.id}", address="job")
    try:
        subject = await resolve(PullManifest(repository, digest), request, ports)
    except Unavailable as away:
        return "away", away.what
    except (Corrupt, Fault) as wrong:
        return "failed", str(wrong)
    if isinstance(subject, Response):
        return ("gone", "") if subject.status == 404 else ("failed", f"upstream answered {subject.status}")
    about = Descriptor(subject.media_type, digest, len(subject.body))
    by = Actor(job.who, job.how, job.reason, request.request_id)
    try:
        for claims, pairs in missing:
            await sign(repository, about, pairs, (profile,), claims, by, ports)
    except Fault as full:  # pushes have priority
        raise Unavailable(full.message) from None
    try:
        async with held(repository, (), ports, about=[digest]) as lists:
            await attach(repository, about, request, lists.ports)
    except Unavailable as away:  # signed; a retry, or the next request that attaches signatures, puts it upstream
        return "away", away.what
    except (Corrupt, Fault) as wrong:
        return "failed", str(wrong)
    return "signed", ""


def _missing(
    entries: Sequence[Entry], profile: str, ports: Ports
) -> list[tuple[Mapping[str, str], list[tuple[str, str]]]]:
    """Return the signatures that other keys of the profile made but the active key did not, grouped by claims."""
    ring = ports.keybook.ring()
    ours = {key.fingerprint for key in ring.ours if key.profile == profile}
    own = signers_now(profile, ports)[0].fingerprint
    there = {(e.key.format, e.key.bound) for e in entries if e.key.fingerprint == own and e.stage is Stage.ATTACHED}
    wanted: dict[tuple[str, str], Mapping[str, str]] = {}
    for entry in entries:  # newest first, so that the oldest claims win
        pair = (entry.key.format, entry.key.bound)
        if entry.key.fingerprint in ours and pair not in there:
            wanted[pair] = entry.claims
    groups: list[tuple[Mapping[str, str], list[tuple[str, str]]]] = []
    for pair, claims in wanted.items():
        group = next((pairs for known, pairs in groups if known == claims), None)
        if group is None:
            groups.append((claims, [pair]))
        else:
            group.append(pair)
    return groups
