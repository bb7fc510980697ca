"""What other policies would mean for what was pulled: each image judged under both, and the difference named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from proxy.journal.port import Pulled
from proxy.trust.decision import Decision, Outcome


class PullVerdict(StrEnum):
    """What a pull gets."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"  # could not look, which is never the same as fine
    GONE = "gone"  # the registry does not have it any more


@dataclass(frozen=True)
class Verdict:
    """What a pull gets under one set of policies, and why; `reason` is empty where it satisfies them."""

    standing: PullVerdict
    reason: str = ""
    detail: str = ""


class Effect(StrEnum):
    """What the other policies change for one image."""

    NEWLY_BLOCKED = "newly blocked"
    NEWLY_ALLOWED = "newly allowed"
    UNCHANGED = "unchanged"
    UNKNOWN = "could not judge"
    GONE = "gone"


@dataclass(frozen=True)
class Judgement:
    """One image under the policies in force and under the others."""

    pulled: Pulled
    before: Verdict
    after: Verdict

    @property
    def effect(self) -> Effect:
        """What changes. Where only the policies in force could not be judged, the journal says what was served."""
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
    """Return what the policies mean for a pull; one that blocks because nothing could be seen is not known.

    An exception that lets it through for some hours is no part of that: it ends, and the policies stay.
    """
    reason = "" if decision.reason is None else decision.reason.value
    detail = next((c.detail for c in decision.checks if c.outcome is not Outcome.PASSED), "")
    if decision.allowed and decision.granted is None:  # an exception ends; what policy says stays
        return Verdict(PullVerdict.ALLOWED, reason, detail)
    blind = decision.outcome is Outcome.INCONCLUSIVE
    return Verdict(PullVerdict.UNKNOWN if blind else PullVerdict.BLOCKED, reason, detail)


def counted(judgements: Iterable[Judgement]) -> dict[Effect, int]:
    """Return how many there are of each effect."""
    counts = dict.fromkeys(Effect, 0)
    for judgement in judgements:
        counts[judgement.effect] += 1
    return counts
