"""The effect of other policies on earlier pulls: each image judged under both sets, and the difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from proxy.journal.port import Pulled
from proxy.trust.decision import Decision
from proxy.trust.policy import Policy, PolicySet
from proxy.trust.requirement import Outcome


class PullVerdict(StrEnum):
    """The result of a pull."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"  # could not be judged, which never means allowed
    GONE = "gone"  # the registry no longer has the image


@dataclass(frozen=True)
class Verdict:
    """The result of a pull under one set of policies, and the reason; `reason` is empty if the image satisfies them."""

    standing: PullVerdict
    reason: str = ""
    detail: str = ""


GONE = Verdict(PullVerdict.GONE, detail="the registry does not have it any more")


class Effect(StrEnum):
    """The change that other policies make for one image."""

    NEWLY_BLOCKED = "newly blocked"
    NEWLY_ALLOWED = "newly allowed"
    UNCHANGED = "unchanged"
    UNKNOWN = "could not judge"
    GONE = "gone"


@dataclass(frozen=True)
class Judgement:
    """The verdicts on one image under the policies in force and under the others."""

    pulled: Pulled
    before: Verdict
    after: Verdict

    @property
    def effect(self) -> Effect:
        """The change. If only the policies in force could not be judged, the journal tells whether it was served."""
        before, after = self.before.standing, self.after.standing
        if PullVerdict.GONE in (before, after):
            return Effect.GONE
        if after is PullVerdict.UNKNOWN:
            return Effect.UNKNOWN
        if before is PullVerdict.UNKNOWN:
            before = PullVerdict.ALLOWED if self.pulled.served else PullVerdict.BLOCKED
        if before is after:
            return Effect.UNCHANGED
        return Effect.NEWLY_BLOCKED if after is PullVerdict.BLOCKED else Effect.NEWLY_ALLOWED


def verdict_of(decision: Decision) -> Verdict:
    """Return the policies' verdict on a pull; a decision that blocks only because it is inconclusive is UNKNOWN.

    An exception that allows the pull is ignored: it ends, and the policies stay.
    """
    reason = "" if decision.reason is None else decision.reason.value
    detail = next((c.detail for c in decision.checks if c.outcome is not Outcome.PASSED), "")
    if decision.allowed and decision.granted is None:  # an exception ends; the policy's own decision counts
        return Verdict(PullVerdict.ALLOWED, reason, detail)
    blind = decision.outcome is Outcome.INCONCLUSIVE
    return Verdict(PullVerdict.UNKNOWN if blind else PullVerdict.BLOCKED, reason, detail)


def counted(judgements: Iterable[Judgement]) -> dict[Effect, int]:
    """Return the number of images for each effect."""
    counts = dict.fromkeys(Effect, 0)
    for judgement in judgements:
        counts[judgement.effect] += 1
    return counts


def enforced(policies: PolicySet) -> PolicySet:
    """Return these policies with every requirement in mode enforce from now on."""
    return PolicySet(f"{policies.revision}, enforced", tuple(map(_enforced, policies.policies)))


def _enforced(policy: Policy) -> Policy:
    pull = replace(policy.pull, mode="enforce", enforce_after=None)
    beside = tuple(replace(each, mode="enforce", enforce_after=None) for each in policy.beside)
    return replace(policy, pull=pull, beside=beside)
