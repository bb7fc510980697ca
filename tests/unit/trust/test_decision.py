from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.reference import digest_of, parse_reference, parse_repository
from proxy.trust.authority import Authority, KeylessSigner
from proxy.trust.decision import Decision, decide
from proxy.trust.evidence import (
    CertifiedChain,
    CouldNotLook,
    Evidence,
    NotExamined,
    Rejected,
    SignatureCheck,
    Source,
    SourceResult,
    Verified,
)
from proxy.trust.keys import BookKey, Identity, KeyRing, KeyState, TrustedKey, fingerprint
from proxy.trust.policy import Clause, Policy, PullRules
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import DecisionContext, Outcome
from tests.worlds.memory import NOON

SUBJECT = digest_of(b"subject")
OURS, THEIRS, OTHER = b"our key", b"their key", b"another key"
HOST = "proxy.example"
BOUND = f"{HOST}/team/app"


def ring(state: KeyState = KeyState.ACTIVE, identity: Identity = "any") -> KeyRing:
    mine = BookKey("release", "t", "1", "01", "release", "ecdsa-p256", OURS, state, NOON)
    others = (TrustedKey("partner", THEIRS, identity), TrustedKey("auditor", OTHER, "any"))
    return KeyRing("keys-1", (mine,), others)


def ledgered(at: datetime, spki: bytes = OURS) -> Evidence:
    return Evidence(SUBJECT, (SourceResult(Source.LEDGER, (replace(by(spki), recorded=at),)),))


def by(spki: bytes, bound: str | None = BOUND) -> Verified:
    return Verified(fingerprint(spki), "cosign-simple", bound)


def found(*findings: SignatureCheck) -> Evidence:
    return Evidence(SUBJECT, (SourceResult(Source.SIG_TAG, findings),))


def decided(
    evidence: Evidence,
    *clauses: Clause,
    keys: KeyRing | None = None,
    reference: str = "v1",
    mode: str = "enforce",
    policy: Policy | None = None,
) -> Decision:
    rules = PullRules(mode=mode, require=clauses)  # type: ignore[arg-type]
    question = Question(parse_repository("team/app"), parse_reference(reference))
    setting = DecisionContext("id", NOON, (HOST,), "policies-1", keys or ring())
    return decide(question, policy or Policy(("**",), pull=rules), (SUBJECT, "type"), evidence, setting)


RELEASE, PARTNER = Clause(("release",)), Clause(("partner",))


def test_one_identity_under_two_roots_is_one_signer() -> None:
    old = KeylessSigner("ci", "https://issuer.example", ("a@example.com", "b@example.com"), b"root of 2026")
    new = replace(old, name="ci-new", trusted_root=b"root of 2027")
    keys = replace(ring(), keyless=(old, new))
    two = Clause(("ci", "ci-new"), 2)

    def signed(*who: tuple[KeylessSigner, str]) -> Evidence:
        return found(*(Verified(s.fingerprint(f"{name}@example.com"), "sigstore-bundle") for s, name in who))

    decision = decided(signed((old, "a"), (new, "a")), two, keys=keys)
    assert (decision.outcome, decision.reason) == (Outcome.FAILED, Reason.TOO_FEW_SIGNATURES)
    assert decision.checks[0].detail.startswith("1 of 2")
    assert decided(signed((old, "a"), (new, "b")), two, keys=keys).outcome is Outcome.PASSED


def test_it_carries_everything_it_rests_on() -> None:
    decision = decided(found(by(OURS)), RELEASE)
    assert decision.outcome is Outcome.PASSED
    assert decision.reason is None
    assert decision.allowed
    assert (decision.id, decision.digest, decision.at) == ("id", SUBJECT, NOON)
    assert (decision.policy_revision, decision.key_revision) == ("policies-1", "keys-1")
    assert decision.signatures == (by(OURS),)
    assert [c.name for c in decision.checks] == ["signed by release"]


@pytest.mark.parametrize("evidence", [found(), found(by(OURS)), Evidence(SUBJECT, allowed_parent=SUBJECT)])
def test_no_policy_allows_nothing(evidence: Evidence) -> None:
    question = Question(parse_repository("team/app"), parse_reference("v1"))
    decision = decide(question, None, (SUBJECT, ""), evidence, DecisionContext("id", NOON, (HOST,), "p", ring()))
    assert (decision.outcome, decision.reason, decision.allowed) == (Outcome.FAILED, Reason.NO_POLICY, False)


def test_no_clause_allows_nobody() -> None:
    assert decided(found(by(OURS))).reason is Reason.UNTRUSTED_KEY


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (found(), Reason.UNSIGNED),
        (Evidence(SUBJECT), Reason.UNSIGNED),
        (found(by(OTHER)), Reason.UNTRUSTED_KEY),
        (found(by(OURS, None)), Reason.WRONG_IDENTITY),
        (found(by(OURS, f"{HOST}/team/other")), Reason.WRONG_IDENTITY),
        (found(Rejected(Reason.BAD_SIGNATURE, "f", "d")), Reason.BAD_SIGNATURE),
        (
            found(Rejected(Reason.BAD_SIGNATURE, "f", "d"), Rejected(Reason.WRONG_SUBJECT, "f", "d")),
            Reason.WRONG_SUBJECT,
        ),
        (Evidence(SUBJECT, (CouldNotLook(Source.REFERRERS, "throttled"),)), Reason.NOT_VERIFIABLE),
        (Evidence(SUBJECT, (NotExamined(Source.SIG_TAG, 7),)), Reason.NOT_VERIFIABLE),
    ],
)
def test_why_not(evidence: Evidence, reason: Reason) -> None:
    decision = decided(evidence, RELEASE)
    assert decision.reason is reason
    assert not decision.allowed
    assert (decision.outcome is Outcome.INCONCLUSIVE) is (reason is Reason.NOT_VERIFIABLE)


@pytest.mark.parametrize("state", list(KeyState))
def test_states_of_a_key(state: KeyState) -> None:
    expected = {
        KeyState.RETIRED: Reason.KEY_RETIRED,
        KeyState.DESTROYED: Reason.KEY_RETIRED,
        KeyState.COMPROMISED: Reason.KEY_COMPROMISED,
    }.get(state)
    assert decided(found(by(OURS)), RELEASE, keys=ring(state)).reason is expected


def test_the_most_telling_reason_is_told() -> None:
    several = found(by(OTHER), by(OURS, "elsewhere/x"), Rejected(Reason.BAD_SIGNATURE, "f", "d"))
    assert decided(several, RELEASE).reason is Reason.WRONG_IDENTITY
    assert (
        decided(found(by(OURS), by(OTHER)), RELEASE, keys=ring(KeyState.COMPROMISED)).reason is Reason.KEY_COMPROMISED
    )


def test_silence_beside_a_good_signature_does_not_matter() -> None:
    silent = Evidence(SUBJECT, (CouldNotLook(Source.REFERRERS, "x"), SourceResult(Source.SIG_TAG, (by(OURS),))))
    assert decided(silent, RELEASE).outcome is Outcome.PASSED


def test_a_failure_outweighs_silence_and_every_clause_must_hold() -> None:
    assert decided(found(by(OURS)), RELEASE, PARTNER).outcome is Outcome.FAILED
    assert decided(found(by(OURS), by(THEIRS)), RELEASE, PARTNER).outcome is Outcome.PASSED
    assert decided(found(by(OURS)), Clause(("release", "partner"), 2)).reason is Reason.TOO_FEW_SIGNATURES


@pytest.mark.parametrize(
    ("identity", "bound", "reference", "passes"),
    [
        ("any", None, "v1", True),
        ("any", "elsewhere/x", "v1", True),
        ("repository", None, "v1", False),
        ("repository", BOUND, "v1", True),
        ("repository", f"{BOUND}:other", "v1", True),
        ("repository", f"{BOUND}:a/b", "v1", False),
        ("repository", f"{BOUND}2", "v1", False),
        ("exact", f"{BOUND}:v1", "v1", True),
        ("exact", f"{BOUND}:v2", "v1", False),
        ("exact", BOUND, "v1", False),
        ("exact", BOUND, SUBJECT, True),
        ("exact", f"{BOUND}:v1", SUBJECT, False),
    ],
)
def test_identities(identity: Identity, bound: str | None, reference: str, passes: bool) -> None:
    decision = decided(found(by(THEIRS, bound)), PARTNER, keys=ring(identity=identity), reference=reference)
    assert decision.allowed is passes
    assert decision.binds_reference is (identity == "exact")


@pytest.mark.parametrize(("mode", "allowed"), [("enforce", False), ("warn", True), ("off", True)])
def test_modes_change_what_is_served_and_not_what_is_found(mode: str, allowed: bool) -> None:
    decision = decided(found(), RELEASE, mode=mode)
    assert decision.allowed is allowed
    assert (decision.outcome, decision.reason) == (Outcome.FAILED, Reason.UNSIGNED)


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(SUBJECT, artifact=True),
        Evidence(SUBJECT, allowed_parent=SUBJECT),
        Evidence(SUBJECT, referrers_index=True),
    ],
)
def test_what_needs_no_signature_of_its_own(evidence: Evidence) -> None:
    assert decided(evidence, RELEASE).outcome is Outcome.PASSED


SIGNATURES = st.lists(
    st.builds(
        Verified,
        st.sampled_from([fingerprint(k) for k in (OURS, THEIRS, OTHER, b"unknown")]),
        st.just("cosign-simple"),
        st.sampled_from([None, BOUND, f"{BOUND}:v1", "elsewhere/x"]),
    ),
    max_size=6,
)


@given(SIGNATURES, SIGNATURES, st.integers(-1, 3))
def test_more_signatures_never_hurt_and_order_does_not_matter(
    some: list[Verified], more: list[Verified], need: int
) -> None:
    clause = Clause(("release", "partner", "auditor"), need)
    one, both = decided(found(*some), clause), decided(found(*some, *more), clause)
    assert both.allowed or not one.allowed
    assert decided(found(*more, *some), clause).outcome is both.outcome


@given(SIGNATURES)
def test_nothing_passes_without_a_verified_signature(some: list[Verified]) -> None:
    for reference in ("v1", SUBJECT):
        if decided(found(*some), RELEASE, reference=reference).allowed:
            assert by(OURS).fingerprint in {s.fingerprint for s in some}


CA = Authority("ca", frozenset({b"root"}), ())
HOUR = timedelta(hours=1)


def certified(spki: bytes, bound: str | None = None, **changes: Any) -> Verified:
    words = CertifiedChain(("ca",), (b"leaf", b"root"), (NOON - HOUR, NOON + HOUR), NOON, None, b"token", b"signature")
    return Verified(fingerprint(spki), "notation-jws", bound, certified=replace(words, **changes))


def with_ca(state: KeyState = KeyState.ACTIVE) -> KeyRing:
    return replace(ring(state), authorities=(CA,))


def test_whom_an_authority_certifies_satisfies_a_clause_that_names_it() -> None:
    stranger = certified(b"a stranger")
    assert decided(found(stranger), Clause(("ca",)), keys=with_ca()).allowed
    assert decided(found(stranger), RELEASE, keys=with_ca()).reason is Reason.UNTRUSTED_KEY
    assert decided(found(stranger), Clause(("ca",)), keys=ring()).reason is Reason.UNTRUSTED_KEY
    two = Clause(("ca", "partner"), 2)
    assert decided(found(stranger, by(THEIRS)), two, keys=with_ca()).allowed
    assert decided(found(stranger, certified(b"another")), two, keys=with_ca()).reason is Reason.TOO_FEW_SIGNATURES
    assert not decided(found(certified(THEIRS)), two, keys=with_ca()).allowed, "one key, known and certified, is one"


def test_an_expired_certificate_or_signature_is_said_to_be_expired() -> None:
    past = certified(b"a stranger", valid=(NOON - HOUR, NOON - timedelta(seconds=1)))
    over = certified(b"a stranger", expires=NOON)
    for one in (past, over):
        decision = decided(found(one), Clause(("ca",)), keys=with_ca())
        assert decision.reason is Reason.CERTIFICATE_EXPIRED
        assert "no longer, or not yet, valid" in decision.checks[0].detail
    assert decided(found(certified(THEIRS, expires=NOON)), PARTNER).reason is Reason.CERTIFICATE_EXPIRED
    assert decided(found(certified(THEIRS, valid=(NOON, NOON - HOUR))), PARTNER).allowed, "the key itself is trusted"


@pytest.mark.parametrize(
    ("state", "reason"), [(KeyState.COMPROMISED, Reason.KEY_COMPROMISED), (KeyState.RETIRED, Reason.KEY_RETIRED)]
)
def test_no_authority_brings_a_key_of_ours_back(state: KeyState, reason: Reason) -> None:
    assert decided(found(certified(OURS, BOUND)), Clause(("ca",)), keys=with_ca(state)).reason is reason
    assert decided(found(certified(OURS, BOUND)), Clause(("ca",)), keys=with_ca()).allowed
    elsewhere = certified(OURS, "proxy.example/team/other")
    assert decided(found(elsewhere), Clause(("ca",)), keys=with_ca()).reason is Reason.WRONG_IDENTITY
    assert decided(found(certified(OURS)), Clause(("ca",)), keys=with_ca()).reason is Reason.WRONG_IDENTITY


def test_certificates_are_not_kept_with_a_decision() -> None:
    [kept] = decided(found(certified(b"a stranger")), Clause(("ca",)), keys=with_ca()).signatures
    assert kept.certified == CertifiedChain(("ca",), (), (NOON - HOUR, NOON + HOUR), NOON)


@pytest.mark.parametrize(
    ("trust", "since", "made", "passes"),
    [
        (True, NOON, NOON - timedelta(seconds=1), True),
        (True, NOON, NOON - timedelta(microseconds=1), True),
        (True, NOON, NOON, False),
        (True, NOON, NOON + timedelta(seconds=1), False),
        (True, NOON, None, False),
        (True, None, NOON - timedelta(days=9), False),
        (False, NOON, NOON - timedelta(days=9), False),
    ],
)
def test_what_a_compromised_key_made_before_counts_where_policy_and_our_ledger_say_so(
    trust: bool, since: datetime | None, made: datetime | None, passes: bool
) -> None:
    (mine,) = ring().ours
    bad = KeyRing("keys-2", (replace(mine, state=KeyState.COMPROMISED, compromised_since=since),))
    policy = Policy(("**",), pull=PullRules(require=(RELEASE,), trust_ledger=trust))
    evidence = found(by(OURS)) if made is None else ledgered(made)
    decision = decided(evidence, keys=bad, policy=policy)
    assert (decision.outcome is Outcome.PASSED) is passes
    assert decision.reason is (None if passes else Reason.KEY_COMPROMISED)
    assert ("from before the key was compromised" in decision.checks[0].detail) is passes
    assert [signature.state for signature in decision.signatures] == [KeyState.COMPROMISED]


def test_the_ledger_excuses_neither_a_retired_key_nor_another_repository() -> None:
    policy = Policy(("**",), pull=PullRules(require=(RELEASE,), trust_ledger=True))
    assert decided(ledgered(NOON), keys=ring(KeyState.RETIRED), policy=policy).reason is Reason.KEY_RETIRED
    (mine,) = ring().ours
    bad = KeyRing("keys-2", (replace(mine, state=KeyState.COMPROMISED, compromised_since=NOON),))
    elsewhere = Evidence(
        SUBJECT,
        (SourceResult(Source.LEDGER, (replace(by(OURS, f"{HOST}/team/other"), recorded=NOON - timedelta(days=1)),)),),
    )
    assert decided(elsewhere, keys=bad, policy=policy).reason is Reason.WRONG_IDENTITY
