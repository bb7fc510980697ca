"""The only path to a judgement: pulls, blobs, `verify`, `why` and every later sweep call this module."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Kind
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Reference, Repository, is_digest, parse_tag, subject_of_list
from proxy.registry.cache import ManifestKey
from proxy.registry.judging.gather import from_ledger, gather
from proxy.registry.judging.listed import LISTED, Judging, ParentSearch, first_good
from proxy.registry.judging.now import AGAIN, CHANGED, Now, now_in
from proxy.registry.judging.overtaken import Begun, by_now
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.artifact import is_signature_artifact
from proxy.registry.reading.denied_parents import named_ancestors
from proxy.registry.reading.resolve import resolve
from proxy.registry.request import Request, Response
from proxy.registry.signing.repair import repair
from proxy.trust.decision import Decision
from proxy.trust.evidence import CouldNotLook, Evidence, Source
from proxy.trust.exception import SIGNATURES
from proxy.trust.fact import Listing
from proxy.trust.policy import Policy
from proxy.trust.question import Question, Resolved
from proxy.trust.requirement import Outcome, Requirement, RequirementOutcome


@dataclass(slots=True)
class Judged:
    """A decision, the bytes it is about, the policy that applied, and the state it was made under.

    `final` is False when something changed meanwhile and more evidence may be needed.
    """

    subject: Resolved
    decision: Decision
    policy: Policy | None
    now: Now
    final: bool = True


@dataclass(frozen=True)
class Walk:
    """How far one request has climbed from child to parents: its depth, and all parents examined so far."""

    depth: int = 0
    tried: set[Digest] = field(default_factory=set)

    def up(self) -> Walk:
        """Return the walk one step further up, with the same set of parents."""
        return Walk(self.depth + 1, self.tried)


async def judge(op: PullManifest, request: Request, ports: Ports, *, walk: Walk | None = None) -> Judged | Response:
    """Return the judgement on this reference under the state at the time of return, or upstream's own refusal.

    Raises Unavailable (Exhausted when the budget was used up before), Corrupt and Fault when the manifest cannot be
    judged; a bad signature never raises.
    """
    request.budget.check(ports.limits)
    subject = await resolve(op, request, ports)
    if isinstance(subject, Response):
        return subject
    if walk is not None:  # the walk up from a child checks for changes once, at its end
        return await _judged(op, subject, request, ports, walk)
    for _ in range(AGAIN):
        judged = await _judged(op, subject, request, ports, None)
        if judged.final:
            return judged
    raise Unavailable(CHANGED)


async def _judged(op: PullManifest, subject: Resolved, request: Request, ports: Ports, walk: Walk | None) -> Judged:
    now = now_in(op.repository, ports)
    place = (op.repository, subject.digest)
    question = Question(op.repository, op.reference)
    if (known := _remembered(question, place, now, ports)) is not None:
        return Judged(subject, known, now.policy, now)
    return await _worked_out(question, subject, now, request, ports, walk or Walk())


async def _worked_out(
    question: Question, subject: Resolved, now: Now, request: Request, ports: Ports, walk: Walk
) -> Judged:
    place = (question.repository, subject.digest)

    changes = ports.cache.changes(question.repository)

    def made() -> Decision | None:
        return _remembered(question, place, now, ports)

    async def work(request: Request) -> tuple[Decision, Evidence | None]:
        judged, above, evidence = await _outcomes(
            question, subject, now, lambda: made() is not None, request, ports, walk
        )
        decision = ports.cache.reuse_if_equal(now.put_together(question, subject, judged, above))
        if decision.outcome is not Outcome.PASSED and (known := made()) is not None:
            return known, None  # another task searched at the same time and reached this decision
        if decision.outcome is Outcome.PASSED or walk.depth == 0:  # on the way up some parents may be skipped
            ports.cache.decided(place, now.stamp, decision, changes)
        if decision.outcome is Outcome.PASSED:
            ports.cache.passed[place] = question.reference
            ports.cache.lists(question.repository, subject.manifest.blobs, subject.digest)
            ports.cache.later(_noted(place, now.at, ports))
            ports.cache.drop_denials_of_children(
                [(question.repository, child.digest) for child in subject.manifest.children]
            )
            only_ours = evidence is not None and {found.place for found in evidence.sources} == {Source.LEDGER}
            if only_ours and ports.repairs:
                ports.cache.later(
                    repair(question.repository, subject, request, ports)
                )  # only our own copy was examined
        return decision, evidence

    if walk.depth > 0:
        decision, evidence = await work(request)
    else:
        key = ("judge", question.repository, question.reference, subject.digest, now.stamp, changes, request.credential)
        decision, evidence = await ports.cache.shared(key, request, work)
    begun = Begun(question, subject, decision, evidence, now, changes)
    decision, latest, final = await by_now(begun, ports)
    return Judged(subject, decision, latest.policy, latest, final)


def _remembered(question: Question, place: ManifestKey, now: Now, ports: Ports) -> Decision | None:
    """Return a cached decision with this question: page and journal row must name the reference in use."""
    known = ports.cache.decision(place, now.stamp, question.reference)
    if known is None or known.question == question:
        return known
    if known.outcome is not Outcome.PASSED and _fallback_of(question.reference) is not None:
        return None  # under that tag the manifest may be an index of referrers
    mine = ports.cache.reuse_if_equal(replace(known, id=secrets.token_urlsafe(12), question=question))
    ports.cache.put_for_reference(place, now.stamp, mine)
    return mine


async def _outcomes(
    question: Question,
    subject: Resolved,
    now: Now,
    settled: Callable[[], bool],
    request: Request,
    ports: Ports,
    walk: Walk,
) -> tuple[list[RequirementOutcome], frozenset[Digest], Evidence | None]:
    """Return the outcome of each requirement, the indexes above that overrides name, and the evidence.

    Outcomes that hold under the requirement's own stamp are not judged again. The evidence is None if there are such
    outcomes: it is then not that of the whole decision. Nothing is judged without a policy or for a denied image.
    """
    repository, place = question.repository, (question.repository, subject.digest)
    changes = ports.cache.changes(repository)
    above = await named_ancestors(repository, subject.digest, now.overrides, ports)
    if now.policy is None or now.overrides.denial(repository, {subject.digest, *above}) is not None:
        return [], above, Evidence(subject.digest, listed_by=above)
    rows = {each.name: (each, now.stamps(each)) for each in now.requirements()}
    known = {name: ports.cache.outcome(place, stamps, question.reference) for name, (_, stamps) in rows.items()}
    open_ = [each for name, (each, _) in rows.items() if known[name] is None]
    evidence = Evidence(subject.digest, listed_by=above)
    if open_:
        evidence = await _evidence(question, subject, now, open_, evidence, settled, request, ports, walk)
    judged = []
    for name, (each, stamps) in rows.items():
        if (outcome := known[name]) is None:
            outcome = now.judge(each, question, evidence)
            if outcome.outcome is Outcome.PASSED or walk.depth == 0:
                ports.cache.judged(place, stamps, question.reference, outcome, changes)
        judged.append(outcome)
    return judged, above, evidence if len(open_) == len(rows) else None


async def _evidence(
    question: Question,
    subject: Resolved,
    now: Now,
    requirements: Sequence[Requirement],
    nothing: Evidence,
    settled: Callable[[], bool],
    request: Request,
    ports: Ports,
    walk: Walk,
) -> Evidence:
    """Collect the evidence these requirements need, beginning with `nothing`; our own copies first.

    Parents are judged only when the digest does not pass by itself.
    """
    repository, digest, ring = question.repository, subject.digest, now.ring
    if all(each.mode_at(now.at) == "off" for each in requirements):
        return nothing
    signed = next((each for each in requirements if each.name == SIGNATURES), None)

    def enough(evidence: Evidence) -> bool:
        return signed is None or now.judge(signed, question, evidence).outcome is Outcome.PASSED

    begun = nothing
    if signed is not None:
        begun = replace(await from_ledger(repository, digest, ring, request, ports), listed_by=nothing.listed_by)
        if enough(begun) and len(requirements) == 1:
            return begun
    try:
        if await is_signature_artifact(repository, subject, request, ports):
            return replace(nothing, artifact=True)
    except Unavailable as silent:
        return replace(nothing, sources=(CouldNotLook(Source.REFERRERS, silent.what, silent.told),))
    if await _lists_referrers(question, subject, request, ports, walk):
        return replace(nothing, referrers_index=True)
    if enough(begun):
        return begun
    evidence = await gather(repository, digest, ring, enough, request, ports, begun=begun, settled=settled)
    if enough(evidence) or settled() or walk.depth >= ports.limits.index_depth:
        return evidence
    return await _with_parent(repository, evidence, request, ports, walk)


async def _with_parent(
    repository: Repository, evidence: Evidence, request: Request, ports: Ports, walk: Walk
) -> Evidence:
    """Add the first parent that satisfies the policy now; a parent that could not be judged is silence, not absence."""
    judging = Judging(
        remembered_in(repository, now_in(repository, ports).stamp, ports),
        lambda parent: decision_on(repository, parent, request, ports, walk=walk.up()),
        lambda decision: decision.vouches,
    )

    async def part(number: int) -> Listing:
        return await ports.facts.parents(repository, evidence.subject, LISTED, LISTED * number)

    try:
        looked = await first_good(repository, part, judging, walk.tried, ports)
    except Unavailable as away:
        looked = ParentSearch(silent=f"{away.what}: what lists it is not known")
    if looked.found is not None:
        return replace(evidence, allowed_parent=looked.found)
    if looked.silent is None:
        return evidence
    return replace(evidence, sources=(*evidence.sources, CouldNotLook(Source.PARENTS, looked.silent, looked.told)))


async def _noted(place: ManifestKey, at: datetime, ports: Ports) -> None:
    """Record the pass, so that other servers, and this one after a restart, know where to look first."""
    with suppress(Unavailable):
        await ports.facts.passed(*place, at)


def _fallback_of(reference: Reference) -> Digest | None:
    """Return the digest whose referrers clients list under this tag, None for any other reference."""
    return None if is_digest(reference) else subject_of_list(parse_tag(reference))


async def _lists_referrers(question: Question, subject: Resolved, request: Request, ports: Ports, walk: Walk) -> bool:
    """True for the index that clients keep under the fallback tag, when each entry passes by itself.

    Clients that manage that tag must read it before they add to it (distribution-spec 1.1 "Referrers Tag Schema").
    """
    if subject.manifest.kind is not Kind.INDEX or _fallback_of(question.reference) is None or walk.depth > 0:
        return False
    listed = (*subject.manifest.children, *subject.manifest.entries)
    if len(listed) > ports.limits.signatures_per_digest:
        return False
    alone = Walk(ports.limits.index_depth, walk.tried)  # by itself: not because of a parent
    for entry in listed:
        if await _outcome(question.repository, entry.digest, request, ports, alone) is not Outcome.PASSED:
            return False
    return True


async def _outcome(repository: Repository, digest: Digest, request: Request, ports: Ports, walk: Walk) -> Outcome:
    """Return whether this manifest satisfies the policy now, in any mode."""
    try:
        decision = await decision_on(repository, digest, request, ports, walk=walk)
    except (Unavailable, Corrupt):
        return Outcome.INCONCLUSIVE
    except Fault:
        return Outcome.FAILED  # unreadable for every caller
    return Outcome.FAILED if decision is None else decision.outcome


async def decision_on(
    repository: Repository, digest: Digest, request: Request, ports: Ports, *, walk: Walk | None = None
) -> Decision | None:
    """Return the decision on this manifest, None if it is gone or upstream does not let this caller read it.

    The manifest is judged by digest, or, if the policy binds the tag, under the tag it last passed under, provided that
    the tag still points at it. Raises Unavailable, Corrupt and Fault when the manifest cannot be judged.
    """
    place, now = (repository, digest), now_in(repository, ports)
    decision = ports.cache.decision(place, now.stamp, digest)
    if decision is None:
        judged = await judge(PullManifest(repository, digest), request, ports, walk=walk)
        if isinstance(judged, Response):
            if judged.status == 429 or judged.status >= 500:
                raise Unavailable(f"upstream answered {judged.status} for {digest}")
            return None
        decision = judged.decision
    tag = ports.cache.passed.get(place)
    if decision.outcome is Outcome.PASSED or not decision.binds_reference or tag is None or is_digest(tag):
        return decision
    judged = await judge(PullManifest(repository, tag), request, ports, walk=walk)
    return judged.decision if isinstance(judged, Judged) and judged.subject.digest == digest else decision


def remembered_in(repository: Repository, stamp: Hashable, ports: Ports) -> Callable[[Digest], Decision | None]:
    """Return a lookup of `decision_on` results under this stamp; the lookup returns None if one needs work."""

    def known(digest: Digest) -> Decision | None:
        decision = ports.cache.decision((repository, digest), stamp, digest)
        if decision is None or decision.outcome is Outcome.PASSED or not decision.binds_reference:
            return decision
        return None if (repository, digest) in ports.cache.passed else decision  # the manifest may pass under its tag

    return known
