"""Decide under the state in force when gathering ends: gathering takes time, and that state may change meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace

from proxy.oci.reference import Digest, Repository
from proxy.registry.judging.now import AGAIN, Now, now_in
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import named_ancestors
from proxy.trust.decision import Decision
from proxy.trust.evidence import Evidence
from proxy.trust.question import Question, Resolved
from proxy.trust.reason import Reason
from proxy.trust.requirement import Outcome


@dataclass(frozen=True)
class Begun:
    """A decision, its evidence (None: gathered by another request), and the state when gathering began.

    `changes` is the number of signature changes in the repository at that time (`Cache.changes`).
    """

    question: Question
    subject: Resolved
    decision: Decision
    evidence: Evidence | None
    then: Now
    changes: int


async def by_now(begun: Begun, ports: Ports) -> tuple[Decision, Now, bool]:
    """Return the decision on the same evidence under the current state, that state, and whether the decision is final.

    A denial is final. An allowed decision is final unless authorities or revocation lists changed: their verdicts are
    part of the evidence. A block is final only if the same evidence would be gathered again.
    """
    repository, subject, then, evidence = begun.question.repository, begun.subject, begun.then, begun.evidence
    now, above = then, frozenset[Digest]() if evidence is None else evidence.listed_by
    for _ in range(AGAIN):
        if (latest := now_in(repository, ports)).stamp == now.stamp:
            break
        now, above = latest, await named_ancestors(repository, subject.digest, latest.overrides, ports)
    else:
        return begun.decision, now, False
    if now is then or evidence is None:
        return begun.decision, now, now is then
    parent = _passes_still(repository, evidence.allowed_parent, now, ports)
    held = replace(evidence, listed_by=above, allowed_parent=parent, referrers_index=False)
    decision = ports.cache.reuse_if_equal(now.decide(begun.question, subject, held))
    vouched = (now.ring.authorities, now.ring.keyless) == (then.ring.authorities, then.ring.keyless)
    if vouched and decision.outcome is Outcome.PASSED:
        ports.cache.decided((repository, subject.digest), now.stamp, decision, begun.changes)
    alike = now.basis == then.basis and parent == evidence.allowed_parent and not evidence.referrers_index
    whole = begun.decision.reason is not Reason.DENIED_DIGEST  # else no evidence was gathered
    denied = decision.reason is Reason.DENIED_DIGEST
    return decision, now, denied or (vouched and decision.allowed) or (alike and whole)


def _passes_still(repository: Repository, parent: Digest | None, now: Now, ports: Ports) -> Digest | None:
    """Return the parent if this process has it cached as passed under the current state."""
    if parent is None:
        return None
    place = (repository, parent)
    known = ports.cache.decision(place, now.stamp, ports.cache.passed.get(place))
    return parent if known is not None and known.vouches else None
