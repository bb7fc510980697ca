"""Sign images that were pushed without a signature: in a job, as soon as signing works again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from proxy.formats.format import claims_at
from proxy.jobs.job import WAITING, Job
from proxy.jobs.port import Jobs
from proxy.jobs.run import Step, start
from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_digest
from proxy.oci.slices import Slice
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.resolve import resolve
from proxy.registry.request import Request, Response
from proxy.registry.signing.attach import attach
from proxy.registry.signing.retag import bind, clear, tree
from proxy.registry.signing.sign import sign, wanted
from proxy.registry.signing.sign_children import wanted_below
from proxy.registry.writing.tags import held
from proxy.registry.writing.write import exists
from proxy.trust.actor import Actor
from proxy.trust.exception import UnsignedPush
from proxy.trust.policy import PushRules

SIGN_OWED = "sign-owed"  # the kind of these jobs
OWED = "unsigned-push"  # marks the pusher's name as taken from the record made before signing
AGAIN = timedelta(minutes=1)  # delay before a failed push is tried again
LOOK_S = 2.0
_PART = 100


async def sign_pending(job: Job, step: Step, ports: Ports) -> Mapping[str, Any]:
    """Sign the pushes that lack a signature and were not tried just now; return the count of each outcome.

    Raises Stop, Unavailable if the token or the store is away: the job is then tried again.
    """
    counts: dict[str, Any] = {"signed": 0, "gone": 0, "failed": 0, **job.result}
    done = job.done
    while due := await ports.unsigned.due(ports.clock.now() - AGAIN, _PART):
        for push in due:
            outcome, note = await _settle(push, job.id, ports)
            now = ports.clock.now()
            over = outcome != "failed"
            await ports.unsigned.note(replace(push, settled=now if over else None, tried=now, note=note[:500]))
            counts[outcome] += 1
            done += 1
            await step(done, done + ports.unsigned.waiting(), push.name, dict(counts))
    return counts


async def _settle(push: UnsignedPush, job_id: str, ports: Ports) -> tuple[str, str]:
    """Return `signed`, `gone` or `failed`, and why. Raises Unavailable if the token is away."""
    policy = ports.rules.current().for_(push.repository)
    if policy is None or not policy.push.sign_with:
        return "gone", "no policy signs here any more"
    if (denial := await denied(push.repository, push.digest, ports)) is not None:
        return "failed", f"an operator denied {denial.target}"
    request = Request(Credential(ours=True), f"job-{job_id}", address="job")
    about = await tree(push.repository, (push.digest,), ports)
    try:
        async with held(push.repository, (push.tag,) if push.tag else (), ports, about=about) as hold:
            outcome, note = await _signed(push, policy.push, request, hold.ports)
    except Fault as busy:
        return "failed", busy.message
    if outcome == "signed":
        place = (push.repository, "", push.digest)
        event = ports.event(EventKind.PUSH_SETTLED, None, request, about=place)
        detail = {"exception": push.exception}
        await ports.journal.record(event._replace(reference=push.tag or push.digest, detail=detail))
    return outcome, note


async def _signed(push: UnsignedPush, rules: PushRules, request: Request, ports: Ports) -> tuple[str, str]:
    """Settle a push while its tag is held; bind the tag if it points at the image before and after signing."""
    try:
        subject = await resolve(PullManifest(push.repository, push.digest), request, ports)
        tagged = push.tag is not None and await exists(push.repository, push.tag, request, ports) == push.digest
    except (Unavailable, Corrupt, Fault) as wrong:
        return "failed", str(wrong)
    if isinstance(subject, Response):
        gone = subject.status == 404
        return ("gone", "it is not there any more") if gone else ("failed", f"upstream answered {subject.status}")
    tags = [push.tag] if tagged and push.tag is not None else []
    about = Descriptor(subject.media_type, push.digest, len(subject.body))
    claims, by = claims_at(rules.claims, push.who, push.at), Actor(push.who, OWED, "", request.request_id)
    pairs = wanted(rules.formats, push.repository, tags, ports)
    try:
        also = await wanted_below(push.repository, subject.manifest, tags, rules, request, ports)
        await sign(push.repository, about, pairs, rules.sign_with, claims, by, ports, also=also)
    except Fault as full:  # pushes have priority
        raise Unavailable(full.message) from None
    try:
        await attach(push.repository, about, request, ports)
        now = None if push.tag is None else await exists(push.repository, push.tag, request, ports)
        if now == push.digest:
            await bind(push.repository, about, tags, request, ports)
        elif now is not None and push.tag is not None:
            await clear(push.repository, push.tag, parse_digest(now), request, ports)
    except (Unavailable, Corrupt, Fault) as wrong:
        return "failed", str(wrong)
    return "signed", "" if now == push.digest or push.tag is None else f"tag {push.tag} points elsewhere by now"


async def start_if_needed(ports: Ports, jobs: Jobs) -> None:
    """Start such a job if a push lacks its signature, signing works and no such job waits. Raises Unavailable."""
    if ports.unsigned.waiting() == 0:
        return
    now = ports.clock.now()
    due = await ports.unsigned.due(now - AGAIN, 1)
    if not due or not _signs(due[0], ports) or await jobs.page(WAITING, SIGN_OWED, "", Slice(1)):
        return
    why = "pushed unsigned under an exception while signing did not work"
    await start(Job("", SIGN_OWED, "countersign", "", why, now), jobs)


def _signs(push: UnsignedPush, ports: Ports) -> bool:
    """False if all tokens of a profile that must sign this push are known to be away."""
    policy = ports.rules.current().for_(push.repository)
    profiles = policy.push.sign_with if policy else ()
    return all(any(turn.away is None for turn in ports.signer.tokens_of(profile)) for profile in profiles)
