"""A requirement: one row of a policy, judged by itself and in its own mode. Its outcome is a part of the decision."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple

from proxy.trust.evidence import Evidence, Verified
from proxy.trust.exception import SIGNATURES
from proxy.trust.keys import VERIFYING, KeyRing
from proxy.trust.overrides import Overrides
from proxy.trust.question import Question
from proxy.trust.reason import Reason

Mode = Literal["off", "observe", "warn", "enforce"]
MODES: tuple[Mode, ...] = ("off", "observe", "warn", "enforce")  # only `enforce` blocks, only `off` does not judge


class Outcome(StrEnum):
    """The result of one check, of one requirement, or of the whole decision."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Check:
    """One named test and its outcome; `detail` is for operators, `told` is the shorter text for callers."""

    name: str
    outcome: Outcome
    detail: str
    reason: Reason | None = None
    told: str = ""


@dataclass(frozen=True)
class DecisionContext:
    """The context of a decision: its id, the time, our public host names, the revisions, keys and overrides."""

    id: str
    now: datetime
    hosts: tuple[str, ...]
    policy_revision: str
    ring: KeyRing
    overrides: Overrides = field(default_factory=Overrides)


class Basis(NamedTuple):
    """What an outcome may depend on besides the evidence. A requirement's stamp is made of what it depends on."""

    policy_revision: str
    keys: Hashable  # the revision of the key book, and the revocation lists
    hosts: tuple[str, ...]
    bucket: int  # of the clock
    overrides: int  # the mark of the denials and exceptions in force


@dataclass(frozen=True)
class Requirement:
    """One requirement: `judge` returns its checks; no check at all does not pass.

    `stamp` returns the part of the basis that the outcome depends on: everything, unless it says less.
    """

    name: str
    judge: Callable[[Question, Evidence, DecisionContext], Sequence[Check]]
    mode: Mode = "enforce"
    enforce_after: datetime | None = None
    stamp: Callable[[Basis], Hashable] = lambda basis: basis
    binds_reference: Callable[[KeyRing], bool] = lambda _: False

    def mode_at(self, now: datetime) -> Mode:
        """Return the mode in force at this moment."""
        return mode_at(self.mode, self.enforce_after, now)


def mode_at(mode: Mode, enforce_after: datetime | None, now: datetime) -> Mode:
    """Return the mode in force at this moment: `enforce_after` turns warn into enforce."""
    return "enforce" if mode == "warn" and enforce_after is not None and now >= enforce_after else mode


@dataclass(frozen=True)
class RequirementOutcome:
    """What one requirement says about one subject, in the mode in force then.

    `binds_reference`: another reference to the same digest may have another outcome. `alone`: it depends on no other
    manifest. `signatures` are those recorded with the decision.
    """

    name: str
    mode: Mode
    outcome: Outcome
    reason: Reason | None
    checks: tuple[Check, ...]
    binds_reference: bool = False
    alone: bool = True
    signatures: tuple[Verified, ...] = ()

    @property
    def blocks(self) -> bool:
        """True when it did not pass and is enforced: only an exception lets the subject through."""
        return self.outcome is not Outcome.PASSED and self.mode == "enforce"


def outcome_of(
    requirement: Requirement, question: Question, evidence: Evidence, at: DecisionContext
) -> RequirementOutcome:
    """Return what this requirement says about the subject of the evidence."""
    exempt = next((e for e, of in _exemptions(evidence) if of is None or requirement.name in of), None)
    checks = tuple(requirement.judge(question, evidence, at)) if exempt is None else (exempt,)
    return RequirementOutcome(
        requirement.name,
        requirement.mode_at(at.now),
        worst(check.outcome for check in checks),
        first_reason(checks),
        checks,
        binds_reference=requirement.binds_reference(at.ring) or evidence.referrers_index,
        alone=not evidence.referrers_index and (exempt is None or evidence.artifact),
        signatures=tuple(_as_kept(s, at.ring) for s in evidence.verified) if requirement.name == SIGNATURES else (),
    )


def _exemptions(evidence: Evidence) -> Iterator[tuple[Check, frozenset[str] | None]]:
    """Yield each exemption: a passed check that says why, and the requirements it is from (None: all)."""
    if evidence.artifact:
        yield _passed("signature artifact", "every layer parses as the signature format it claims"), None
    if evidence.referrers_index:
        yield _passed("referrers index", "everything it lists satisfies the policy by itself"), None
    if evidence.allowed_parent is not None:
        why = f"listed by {evidence.allowed_parent}, which is allowed now"
        yield _passed("parent", why), frozenset({SIGNATURES})


def _passed(name: str, why: str) -> Check:
    return Check(name, Outcome.PASSED, why)


def _as_kept(signature: Verified, ring: KeyRing) -> Verified:
    """Return the signature as stored with a decision: with the state of its key, without the certificates' bytes."""
    own = ring.find(signature.fingerprint)
    if own is not None and own.state not in VERIFYING:
        signature = replace(signature, state=own.state)
    if signature.certified is None:
        return signature
    return replace(signature, certified=replace(signature.certified, chain=(), timestamp=b"", signature=b"", listed={}))


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst outcome. A failure outweighs an inconclusive one; an empty list does not pass."""
    found = set(outcomes)
    if found == {Outcome.PASSED}:
        return Outcome.PASSED
    return Outcome.FAILED if not found or Outcome.FAILED in found else Outcome.INCONCLUSIVE


def first_reason(checks: Sequence[Check]) -> Reason | None:
    """Return the reason to report when these checks do not pass: that of a failed one first; None when they pass."""
    if worst(check.outcome for check in checks) is Outcome.PASSED:
        return None
    ordered = sorted(checks, key=lambda c: c.outcome is not Outcome.FAILED)
    return next((c.reason for c in ordered if c.reason is not None), Reason.NOT_VERIFIABLE)


_OUTCOME, SIGNATURE_BYTES = 2_000, 1_500  # bytes of memory, measured and rounded up


def of_outcome(outcome: RequirementOutcome) -> int:
    """Return the bytes of a requirement's outcome with its key, checks and signatures."""
    return _OUTCOME + SIGNATURE_BYTES * len(outcome.signatures)
