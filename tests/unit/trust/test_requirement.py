"""A policy with one requirement is decided as it always was, and each of several in its own mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

import pytest

from proxy.formats.table import claimed_by
from proxy.oci.reference import Digest, digest_of, parse_reference, parse_repository
from proxy.trust import explain
from proxy.trust.authority import Authority, KeylessSigner
from proxy.trust.decision import Decision, decide
from proxy.trust.denial import Denial
from proxy.trust.evidence import (
    CertifiedChain,
    CouldNotLook,
    Evidence,
    NotExamined,
    Proven,
    Rejected,
    SignatureCheck,
    Source,
    SourceResult,
    Verified,
)
from proxy.trust.exception import SIGNATURES
from proxy.trust.keys import BookKey, Identity, KeyRing, KeyState, TrustedKey, fingerprint
from proxy.trust.overrides import Overrides
from proxy.trust.policy import Clause, Policy, PullRules
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Check, DecisionContext, Mode, Outcome, Requirement, worst
from proxy.trust.revocation import Listed, Listing
from tests.unit.formats import test_vectors_notation as notation
from tests.unit.trust import old_decide
from tests.vectors.vector import NAMES, load
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception

REPO = parse_repository("team/app")
SUBJECT, INDEX, OTHER = digest_of(b"subject"), digest_of(b"index"), digest_of(b"other")
HOST, HOUR = "proxy.example", timedelta(hours=1)
OURS, OLD, THEIRS, EXACT = b"our key", b"our old key", b"their key", b"a key for exact names"
CI = KeylessSigner("ci", "https://issuer.example", ("a@example.com",), b"root")

T = TypeVar("T")
CASES = 500  # for each seed


class Cases:
    """Cases of every kind, the same in each run."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  # no secrets: the same cases in each run

    def one(self, *of: T) -> T:
        return self.random.choice(of)

    def some(self, most: int, make: Callable[[], T]) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.random.randint(0, most)))

    def moment(self) -> datetime:
        return self.one(NOON - HOUR, NOON, NOON + HOUR)

    def perhaps(self) -> datetime | None:
        return self.one(None, self.moment())

    def ring(self) -> KeyRing:
        ours = tuple(
            BookKey("release", "t", "1", name, "release", "ecdsa-p256", spki, state, NOON, self.perhaps())
            for name, spki, state in (("1", OURS, self.one(*KeyState)), ("2", OLD, self.one(*KeyState)))
        )
        identity: Identity = self.one("any", "repository", "exact")
        others = (TrustedKey("partner", THEIRS, identity), TrustedKey("exact", EXACT, "exact"))
        again = (TrustedKey("again", OURS, "any"),) if self.one(True, False) else ()
        ca = Authority("ca", frozenset({b"root"}), (), frozenset(), self.one((), ("ca.crl",)), self.one(True, False))
        return KeyRing("keys-1", ours, (*others, *again), (ca,), (CI,))

    def chain(self) -> CertifiedChain:
        first = self.moment()
        listed = self.one(
            Listed("leaf", (), "it did not answer"),
            Listed("leaf", (Listing(NOON - HOUR, NOON + HOUR),)),
            Listed("leaf", (Listing(NOON - HOUR, NOON, NOON),)),
            Listed("leaf", (Listing(NOON - HOUR, NOON + HOUR, NOON, NOON),)),
        )
        chain = (self.one(b"leaf", b"another"), b"root")
        proven = self.one((), (Proven("ca", first, first),))
        valid = (first, first + HOUR)
        return CertifiedChain(("ca",), chain, valid, NOON, self.perhaps(), proven=proven, listed={"ca": (listed,)})

    def verified(self) -> Verified:
        names = (None, f"{HOST}/team/app", f"{HOST}/team/app:v1", f"{HOST}/team/x", f"{HOST}/team/app:v1/x")
        keys = (*(fingerprint(k) for k in (OURS, OLD, THEIRS, EXACT, b"unknown")), *CI.fingerprints)
        certified = self.one(None, None, self.chain())
        return Verified(self.one(*keys), "cosign-simple", self.one(*names), {}, self.perhaps(), certified)

    def source(self) -> SourceResult | CouldNotLook | NotExamined:
        def finding() -> SignatureCheck:
            rejected = Rejected(self.one(*Reason), "f", self.one("", "said"), self.one("", fingerprint(OURS)))
            good: SignatureCheck = self.verified()
            return self.one(good, good, rejected)

        found: SourceResult | CouldNotLook | NotExamined = SourceResult(Source.SIG_TAG, self.some(4, finding))
        return self.one(found, found, CouldNotLook(Source.REFERRERS, "throttled"), NotExamined(Source.SIG_TAG, 3))

    def evidence(self) -> Evidence:
        return Evidence(
            SUBJECT,
            self.some(3, self.source),
            self.one(None, None, None, INDEX),
            self.one(False, False, False, True),
            self.one(False, False, False, True),
            self.one(frozenset(), frozenset({INDEX})),
        )

    def clause(self) -> Clause:
        names = ("release", "partner", "exact", "again", "ca", "ci", "unknown")
        return Clause((self.one(*names), *self.some(2, lambda: self.one(*names))), self.one(-1, 0, 1, 1, 2, 3))

    def policy(self) -> Policy | None:
        mode: Mode = self.one("enforce", "warn", "off")
        rules = PullRules(mode, self.perhaps(), self.some(3, self.clause), trust_ledger=self.one(True, False))
        policy = Policy(("**",), pull=rules, contact="#help")
        return self.one(None, *[policy] * 9)

    def overrides(self) -> Overrides:
        def where() -> tuple[str, Digest | None]:
            return self.one("**", "team/app", "team/*", "other"), self.one(SUBJECT, INDEX, OTHER, None)

        def denied() -> Denial:
            repositories, digest = where()
            return denial(digest, repositories)

        opened = self.some(2, lambda: exception(*where(), name=self.one("e1", "e2"), hours=self.one(1, 2, 3)))
        return Overrides(self.one((), (), self.some(1, denied)), opened)


def about(decision: Decision | old_decide.Decision) -> dict[str, Any]:
    fields = {name: value for name, value in vars(decision).items() if name not in {"requirements", "signatures"}}
    return {"allowed": decision.allowed, **fields}


@pytest.mark.parametrize("seed", range(4))
def test_one_requirement_is_decided_as_it_always_was(seed: int) -> None:
    cases, seen = Cases(seed), Counter[tuple[object, ...]]()
    for _ in range(CASES):
        policy, evidence, standing = cases.policy(), cases.evidence(), cases.overrides()
        question = Question(REPO, parse_reference(cases.one("v1", "v2", SUBJECT)))
        at = DecisionContext("id", NOON, (HOST,), "policies-1", cases.ring(), standing)
        new = decide(question, policy, (SUBJECT, "type"), evidence, at)
        old = old_decide.decide(question, policy, (SUBJECT, "type"), evidence, at)
        assert about(new) == about(old)
        assert new.signatures == (old.signatures if policy else ())
        assert about(explain.from_json(explain.as_json(new))) == about(new)
        assert "requirements" not in explain.as_json(new)
        seen[new.mode, new.allowed, new.outcome] += 1
        seen[new.reason, new.granted is not None] += 1
    assert {mode for mode, allowed, _ in (k for k in seen if len(k) == 3) if allowed} == {"enforce", "warn", "off"}
    assert all(seen["enforce", allowed, Outcome.FAILED] for allowed in (True, False))
    assert seen["enforce", True, Outcome.INCONCLUSIVE], "let through by an exception"
    assert all(seen[Reason.NO_POLICY, opened] for opened in (True, False))
    assert seen[Reason.DENIED_DIGEST, False]
    assert len({key[0] for key in seen if isinstance(key[0], Reason)}) > 5


def test_exceptions_open_what_no_policy_and_no_clause_covers() -> None:
    question, standing = Question(REPO, parse_reference("v1")), Overrides((), (exception(),))
    at = DecisionContext("id", NOON, (HOST,), "policies-1", KeyRing("k"), standing)
    for policy in (None, Policy(("**",))):
        assert decide(question, policy, (SUBJECT, "type"), Evidence(SUBJECT), at).allowed
        closed = replace(at, overrides=Overrides())
        assert not decide(question, policy, (SUBJECT, "type"), Evidence(SUBJECT), closed).allowed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["enforce", "warn", "off"])
@pytest.mark.parametrize("need", [1, 2])
def test_what_cosign_wrote_is_decided_as_it_always_was(name: str, mode: Mode, need: int) -> None:
    vector = load(name)
    others = tuple(TrustedKey(key.name, key.spki) for key in vector.keys)
    findings: list[SignatureCheck] = []
    for layer in vector.layers:
        form = claimed_by(layer.descriptor.media_type)
        assert form is not None
        findings += form.examine(layer, vector.subject, vector.keys)
    policy = Policy(("**",), pull=PullRules(mode, require=(Clause(tuple(key.name for key in others), need),)))
    evidence = Evidence(vector.subject, (SourceResult(Source.SIG_TAG, tuple(findings)),))
    at = DecisionContext("id", NOON, ("registry.example",), "p", KeyRing("k", others=others))
    asked = (Question(REPO, parse_reference("1")), policy, (vector.subject, "type"), evidence, at)
    new = decide(*asked)
    assert about(new) == about(old_decide.decide(*asked))
    assert (new.outcome is Outcome.PASSED) is (
        name != "cosign3-attestation" and need <= len({key.fingerprint for key in vector.keys})
    )


@pytest.mark.parametrize("name", notation.NAMES)
@pytest.mark.parametrize("now", [NOON, NOON + timedelta(days=36_500)])
def test_what_notation_wrote_is_decided_as_it_always_was(name: str, now: datetime) -> None:
    vector = notation.load(name)
    vendor = Authority("vendor", vector.roots, ())
    evidence = Evidence(vector.subject, (SourceResult(Source.REFERRERS, (vector.examined(),)),))
    at = DecisionContext("id", now, ("registry.example",), "p", KeyRing("k", authorities=(vendor,)))
    policy = Policy(("**",), pull=PullRules(require=(Clause(("vendor",)),)))
    asked = (Question(REPO, parse_reference("1")), policy, (vector.subject, "type"), evidence, at)
    assert about(decide(*asked)) == about(old_decide.decide(*asked))


SCANS = "vulnerabilities"
FOUND = Check("no known vulnerability", Outcome.FAILED, "one is known", Reason.TOO_LARGE)  # a reason of its own comes
NO_REPORT = Check("no known vulnerability", Outcome.INCONCLUSIVE, "no report", Reason.NOT_VERIFIABLE)
CLEAN = Check("no known vulnerability", Outcome.PASSED, "none is known")
SIGNED = Evidence(SUBJECT, (SourceResult(Source.SIG_TAG, (Verified(fingerprint(THEIRS), "cosign-simple"),)),))
UNSIGNED = Evidence(SUBJECT)


def scans(mode: Mode, *checks: Check) -> Requirement:
    return Requirement(SCANS, lambda *_: checks, mode)


def decided(
    evidence: Evidence,
    *beside: Requirement,
    mode: Mode = "enforce",
    standing: Overrides | None = None,
    clauses: Sequence[Clause] = (Clause(("partner",)),),
) -> Decision:
    ring = KeyRing("k", others=(TrustedKey("partner", THEIRS),))
    at = DecisionContext("id", NOON, (HOST,), "p", ring, standing or Overrides())
    policy = Policy(("**",), pull=PullRules(mode, require=tuple(clauses)), beside=beside)
    return decide(Question(REPO, parse_reference("v1")), policy, (SUBJECT, "type"), evidence, at)


@pytest.mark.parametrize(
    ("signatures", "mode", "check", "expected"),
    [
        (SIGNED, "enforce", FOUND, (False, Outcome.FAILED, "enforce", Reason.TOO_LARGE)),
        (SIGNED, "warn", FOUND, (True, Outcome.FAILED, "warn", Reason.TOO_LARGE)),
        (SIGNED, "observe", FOUND, (True, Outcome.FAILED, "observe", Reason.TOO_LARGE)),
        (SIGNED, "off", FOUND, (True, Outcome.PASSED, "enforce", None)),
        (SIGNED, "enforce", CLEAN, (True, Outcome.PASSED, "enforce", None)),
        (SIGNED, "enforce", NO_REPORT, (False, Outcome.INCONCLUSIVE, "enforce", Reason.NOT_VERIFIABLE)),
        (UNSIGNED, "warn", FOUND, (False, Outcome.FAILED, "enforce", Reason.UNSIGNED)),
        (UNSIGNED, "enforce", CLEAN, (False, Outcome.FAILED, "enforce", Reason.UNSIGNED)),
        (UNSIGNED, "off", FOUND, (False, Outcome.FAILED, "enforce", Reason.UNSIGNED)),
    ],
)
def test_each_requirement_is_judged_in_its_own_mode(
    signatures: Evidence, mode: Mode, check: Check, expected: tuple[bool, Outcome, Mode, Reason | None]
) -> None:
    decision = decided(signatures, scans(mode, check))
    assert (decision.allowed, decision.outcome, decision.mode, decision.reason) == expected
    assert explain.from_json(explain.as_json(decision)) == decision
    parts = [(part.name, part.mode) for part in decision.requirements]
    assert parts == ([] if mode == "off" else [(SIGNATURES, "enforce"), (SCANS, mode)])
    assert decision.vouches is (signatures is SIGNED and decision.allowed)


@pytest.mark.parametrize("mode", ["off", "observe", "warn"])
@pytest.mark.parametrize("other", ["off", "observe", "warn"])
def test_what_is_not_enforced_never_blocks(mode: Mode, other: Mode) -> None:
    decision = decided(UNSIGNED, scans(other, FOUND), mode=mode)
    assert decision.allowed
    assert decision.outcome is Outcome.FAILED


def test_the_requirement_that_blocks_is_told_before_one_that_warns() -> None:
    decision = decided(UNSIGNED, scans("enforce", NO_REPORT), mode="warn")
    assert (decision.outcome, decision.reason) == (Outcome.INCONCLUSIVE, Reason.NOT_VERIFIABLE)
    assert [check.outcome for check in decision.checks] == [Outcome.FAILED, Outcome.INCONCLUSIVE]
    told = explain.text(decision, "r", "https://r.example")
    assert "requires  [NO] signatures, in mode warn" in told
    assert "requires  [??] vulnerabilities, in mode enforce" in told


@pytest.mark.parametrize(
    ("suspends", "evidence", "check", "allowed"),
    [
        ((SIGNATURES,), UNSIGNED, CLEAN, True),
        ((SIGNATURES,), UNSIGNED, FOUND, False),
        ((SIGNATURES,), SIGNED, FOUND, False),
        ((SCANS,), SIGNED, FOUND, True),
        ((SCANS,), UNSIGNED, FOUND, False),
        ((SIGNATURES, SCANS), UNSIGNED, FOUND, True),
    ],
)
def test_an_exception_suspends_the_requirements_it_names(
    suspends: tuple[str, ...], evidence: Evidence, check: Check, allowed: bool
) -> None:
    standing = Overrides((), (replace(exception(), suspends=suspends),))
    decision = decided(evidence, scans("enforce", check), standing=standing)
    assert decision.allowed is allowed
    assert (decision.granted is not None) is allowed
    assert decision.outcome is Outcome.FAILED
    denied = decided(evidence, scans("enforce", check), standing=replace(standing, denials=(denial(SUBJECT),)))
    assert (denied.allowed, denied.reason) == (False, Reason.DENIED_DIGEST)


def test_the_reason_is_that_of_the_requirement_no_exception_names() -> None:
    decision = decided(UNSIGNED, scans("enforce", FOUND), standing=Overrides((), (exception(),)))
    assert decision.reason is Reason.TOO_LARGE
    nothing = Overrides((), (replace(exception(), suspends=()),))
    assert not decided(UNSIGNED, standing=nothing).allowed


def test_an_exemption_says_from_what() -> None:
    artifact = decided(Evidence(SUBJECT, artifact=True), scans("enforce", FOUND))
    assert artifact.allowed
    assert [check.name for check in artifact.checks] == ["signature artifact"]
    assert [[check.name for check in part.checks] for part in artifact.requirements] == [["signature artifact"]] * 2
    child = Evidence(SUBJECT, allowed_parent=INDEX)
    assert not decided(child, scans("enforce", FOUND)).allowed
    clean = decided(child, scans("enforce", CLEAN))
    assert clean.allowed
    assert [check.name for check in clean.checks] == ["parent", CLEAN.name]


def test_a_policy_without_signatures_has_its_other_requirements_and_without_any_it_blocks() -> None:
    assert decided(UNSIGNED, scans("enforce", CLEAN), clauses=()).allowed
    assert not decided(UNSIGNED, scans("enforce", FOUND), clauses=()).allowed
    assert not decided(SIGNED, clauses=()).allowed
    assert not decided(SIGNED, scans("enforce")).allowed, "no check at all does not pass"
    assert worst([]) is Outcome.FAILED


def test_the_modes_of_a_policy_are_those_of_its_requirements() -> None:
    later = Requirement(SCANS, lambda *_: (FOUND,), "warn", NOON + HOUR)
    policy = Policy(("**",), pull=PullRules("off", require=(Clause(("partner",)),)), beside=(later,))
    assert (policy.modes_at(NOON), policy.mode_at(NOON)) == (("off", "warn"), "warn")
    assert policy.mode_at(NOON + HOUR) == "enforce"
    assert replace(policy, pull=PullRules("enforce")).modes_at(NOON) == ("warn",)
