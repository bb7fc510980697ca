"""The one path by which anything is judged: pulls, blobs, `verify`, `why` and every later sweep call this."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from dataclasses import dataclass, replace

from proxy.flows.artifact import is_signature_artifact
from proxy.flows.asked import Answer, Asked
from proxy.flows.gather import Enough, gather
from proxy.flows.house import House
from proxy.flows.repair import repair
from proxy.flows.resolve import resolve
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Kind
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository, fallback_tag, is_digest, parse_tag, subject_of_tag
from proxy.trust.decision import Decision, Outcome, Setting, decide
from proxy.trust.evidence import CouldNotLook, Evidence, Place
from proxy.trust.policy import Policy
from proxy.trust.question import Question, Resolved


@dataclass(frozen=True)
class Judged:
    """A decision, the bytes it is about, and the policy that asked for it."""

    subject: Resolved
    decision: Decision
    policy: Policy | None


async def judge(op: PullManifest, asked: Asked, house: House, *, depth: int = 0) -> Judged | Answer:
    """Return what we come to on this reference, or upstream's own refusal.

    Raises Unavailable, Corrupt and Fault where there is nothing to judge; a bad signature never raises.
    """
    subject = await resolve(op, asked, house)
    if isinstance(subject, Answer):
        return subject
    policies, ring = house.rules.current(), house.keybook.ring()
    policy = policies.for_(op.repository)
    now = house.clock.now()
    place = (op.repository, subject.digest)
    stamp: Hashable = (policies.revision, ring.revision, int(now.timestamp()) // house.limits.decision_bucket_s)
    if (known := house.memory.decision(place, stamp, op.reference)) is not None:
        return Judged(subject, known, policy)
    question = Question(op.repository, op.reference)
    setting = Setting(secrets.token_urlsafe(12), now, house.hosts, policies.revision, ring)

    def decided(evidence: Evidence) -> Decision:
        return decide(question, policy, (subject.digest, subject.media_type), evidence, setting)

    def enough(evidence: Evidence) -> bool:
        return decided(evidence).outcome is Outcome.PASSED

    async def work() -> Decision:
        evidence = await _evidence(question, subject, policy, enough, asked, house, depth)
        decision = decided(evidence)
        house.memory.decided(place, stamp, decision)
        if decision.outcome is Outcome.PASSED and len(evidence.places) == 1:
            house.memory.later(repair(op.repository, subject, asked, house))  # only our own copy was looked at
        return decision

    key = ("judge", op.repository, op.reference, subject.digest, stamp, asked.credential)
    return Judged(subject, await house.memory.once(key, work), policy)


async def _evidence(
    question: Question,
    subject: Resolved,
    policy: Policy | None,
    enough: Enough,
    asked: Asked,
    house: House,
    depth: int,
) -> Evidence:
    """Collect what the rule needs: nothing without a policy; parents only when the digest does not stand by itself."""
    repository, nothing = question.repository, Evidence(subject.digest)
    if policy is None or policy.pull.mode_at(house.clock.now()) == "off":
        return nothing
    try:
        if await is_signature_artifact(repository, subject, asked, house):
            return replace(nothing, artifact=True)
    except Unavailable as silent:
        return replace(nothing, places=(CouldNotLook(Place.REFERRERS, silent.what),))
    if await _lists_referrers(question, subject, asked, house, depth):
        return replace(nothing, referrers_index=True)
    evidence = await gather(repository, subject.digest, house.keybook.ring(), enough, asked, house)
    if enough(evidence) or depth >= house.limits.index_depth:
        return evidence
    for parent in await house.facts.parents(repository, subject.digest, house.limits.parents_tried):
        if await _passes(repository, parent, asked, house, depth + 1):
            return replace(evidence, allowed_parent=parent)
    return evidence


async def _lists_referrers(question: Question, subject: Resolved, asked: Asked, house: House, depth: int) -> bool:
    """True for the index that clients keep under the fallback tag, when everything it lists passes by itself.

    Clients that manage that tag must read it before they add to it (distribution-spec 1.1 "Referrers Tag Schema").
    """
    if subject.manifest.kind is not Kind.INDEX or is_digest(question.reference):
        return False
    about = subject_of_tag(parse_tag(question.reference))
    if about is None or question.reference != fallback_tag(about) or depth >= house.limits.index_depth:
        return False
    listed = (*subject.manifest.children, *subject.manifest.entries)
    if len(listed) > house.limits.signatures_per_digest:
        return False
    for entry in listed:
        if not await _passes(question.repository, entry.digest, asked, house, depth + 1):
            return False
    return True


async def _passes(repository: Repository, digest: Digest, asked: Asked, house: House, depth: int) -> bool:
    """True when this manifest satisfies the policy now; one that cannot be judged does not."""
    try:
        decision = await decision_on(repository, digest, asked, house, depth=depth)
    except (Unavailable, Corrupt, Fault):
        return False
    return decision is not None and decision.outcome is Outcome.PASSED


async def decision_on(
    repository: Repository, digest: Digest, asked: Asked, house: House, *, depth: int = 0
) -> Decision | None:
    """Return the decision on this manifest by digest, None where upstream does not let this caller read it."""
    policies, ring = house.rules.current(), house.keybook.ring()
    bucket = int(house.clock.now().timestamp()) // house.limits.decision_bucket_s
    known = house.memory.decision((repository, digest), (policies.revision, ring.revision, bucket), digest)
    if known is not None:
        return known
    judged = await judge(PullManifest(repository, digest), asked, house, depth=depth)
    return judged.decision if isinstance(judged, Judged) else None
