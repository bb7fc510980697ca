"""The decision: a pure function of question, policy, keys, evidence and time. Refusals are values, not exceptions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from proxy.oci.reference import Digest
from proxy.trust.evidence import Evidence, Verified
from proxy.trust.exception import SIGNATURES, ExceptionGrant
from proxy.trust.policy import Policy
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import (
    MODES,
    SIGNATURE_BYTES,
    Check,
    DecisionContext,
    Mode,
    Outcome,
    RequirementOutcome,
    first_reason,
    outcome_of,
    worst,
)
from proxy.trust.signatures import requirements


@dataclass(frozen=True)
class Decision:
    """The result and everything it rests on. It does not depend on the caller.

    `outcome`, `mode` and `reason` are those of the requirements that decide: the ones that block, else the ones that an
    exception lets through, else those of the strongest mode that did not pass.
    """

    id: str
    question: Question
    digest: Digest
    media_type: str
    outcome: Outcome
    mode: Mode
    reason: Reason | None
    checks: tuple[Check, ...]
    signatures: tuple[Verified, ...]
    policy_revision: str
    key_revision: str
    at: datetime
    contact: str | None = None
    help_url: str | None = None
    binds_reference: bool = False  # True when another reference to the same digest may be decided differently
    granted: ExceptionGrant | None = None
    requirements: tuple[RequirementOutcome, ...] = ()  # the parts, where there are several

    @property
    def allowed(self) -> bool:
        """True when the bytes may be served to every caller whom upstream lets read."""
        return self.outcome is Outcome.PASSED or self.mode != "enforce" or self.granted is not None

    @property
    def vouches(self) -> bool:
        """True when the manifests it lists need no signature of their own: its own pass, and it is not blocked."""
        signed = any(r.name == SIGNATURES and r.outcome is Outcome.PASSED for r in self.requirements)
        return self.outcome is Outcome.PASSED or (signed and self.allowed)


def decide(
    question: Question, policy: Policy | None, subject: tuple[Digest, str], evidence: Evidence, at: DecisionContext
) -> Decision:
    """Return the decision on this subject (digest, media type)."""
    judged = [outcome_of(each, question, evidence, at) for each in (requirements(policy) if policy else ())]
    return put_together(question, policy, subject, judged, evidence.listed_by, at)


def put_together(
    question: Question,
    policy: Policy | None,
    subject: tuple[Digest, str],
    judged: Sequence[RequirementOutcome],
    listed_by: Collection[Digest],
    at: DecisionContext,
) -> Decision:
    """Return the decision made of the outcomes of all requirements of the policy.

    A denial blocks in every mode, whatever the signatures. Without a policy no signature counts. An exception does not
    change an outcome: failed checks stay failed and are recorded; only `allowed` becomes true.
    """
    covered = {subject[0], *listed_by}
    denial = at.overrides.denial(question.repository, covered)
    if denial is not None:
        parts = [_blocked("", "not denied", denial.says(subject[0]), Reason.DENIED_DIGEST)]
    elif policy is None:
        none = f"no policy matches repository {question.repository}"
        parts = [_blocked(SIGNATURES, "policy", none, Reason.NO_POLICY)]
    else:
        parts = [each for each in judged if each.mode != "off"] or list(judged)
    blocking = [each for each in parts if each.blocks]
    openings = {each.name: at.overrides.exception(question.repository, covered, each.name) for each in blocking}
    closed = [each for each in blocking if openings[each.name] is None]
    deciding = closed or blocking or _strongest([each for each in parts if each.outcome is not Outcome.PASSED] or parts)
    opened = None if closed or not blocking else openings[blocking[0].name]
    return Decision(
        id=at.id,
        question=question,
        digest=subject[0],
        media_type=subject[1],
        outcome=worst(each.outcome for each in deciding),
        mode=deciding[0].mode,
        reason=first_reason([check for each in deciding for check in each.checks]),
        checks=_all_checks(parts),
        signatures=next((each.signatures for each in judged if each.signatures), ()),
        policy_revision=at.policy_revision,
        key_revision=at.ring.revision,
        at=at.now,
        contact=policy.contact if policy else None,
        help_url=policy.help_url if policy else None,
        binds_reference=any(each.binds_reference for each in parts),
        granted=None if opened is None else opened.grants(),
        requirements=tuple(_part(each) for each in parts) if len(parts) > 1 else (),
    )


def _blocked(name: str, check: str, why: str, reason: Reason) -> RequirementOutcome:
    """Return what blocks without a requirement; no exception names a requirement without a name."""
    return RequirementOutcome(
        name, "enforce", Outcome.FAILED, reason, (Check(check, Outcome.FAILED, why, reason),), signatures=()
    )


def _strongest(parts: Sequence[RequirementOutcome]) -> list[RequirementOutcome]:
    mode = max((each.mode for each in parts), key=MODES.index)
    return [each for each in parts if each.mode == mode]


def _all_checks(parts: Sequence[RequirementOutcome]) -> tuple[Check, ...]:
    """Return the checks of all parts; an exemption from several requirements is one check."""
    found: list[Check] = []
    for each in parts:
        found += [check for check in each.checks if len(parts) == 1 or check not in found]
    return tuple(found)


def _part(outcome: RequirementOutcome) -> RequirementOutcome:
    """Return the outcome as recorded with the decision."""
    return replace(outcome, binds_reference=False, alone=True, signatures=())


_DECISION = 5_000  # bytes of memory, measured and rounded up


def of_decision(decision: Decision) -> int:
    """Return the bytes of a decision with its checks and signatures."""
    return _DECISION + SIGNATURE_BYTES * len(decision.signatures)
