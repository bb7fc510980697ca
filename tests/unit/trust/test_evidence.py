"""Not found is not the same as could not look, and a bad signature takes nothing from a good one."""

from __future__ import annotations

import pytest

from proxy.oci.reference import digest_of
from proxy.trust.evidence import (
    CouldNotLook,
    Evidence,
    NotExamined,
    Rejected,
    Source,
    SourceResult,
    Verified,
    reason_for,
)
from proxy.trust.keys import KeyState, Verifier
from proxy.trust.reason import Reason

SUBJECT = digest_of(b"subject")
GOOD, OTHER = Verified("f" * 64, "cosign-simple"), Verified("e" * 64, "sigstore-bundle")
BAD = Rejected(Reason.BAD_SIGNATURE, "cosign-simple", "does not verify")


def test_every_place_adds_what_it_has_in_order() -> None:
    evidence = Evidence(SUBJECT, (SourceResult(Source.LEDGER, (GOOD,)), SourceResult(Source.SIG_TAG, (BAD, OTHER))))
    assert evidence.verified == (GOOD, OTHER)
    assert evidence.rejected == (BAD,)
    assert evidence.silence == ()


def test_an_empty_place_is_an_answer_and_a_closed_one_is_none() -> None:
    absent = Evidence(SUBJECT, (SourceResult(Source.SIG_TAG), SourceResult(Source.REFERRERS)))
    assert absent.silence == ()
    silent, more = CouldNotLook(Source.REFERRERS, "timed out"), NotExamined(Source.SIG_TAG, 7)
    unknown = Evidence(SUBJECT, (silent, SourceResult(Source.SIG_TAG, (GOOD,)), more))
    assert unknown.silence == (silent, more)
    assert unknown.verified == (GOOD,)


def test_evidence_begins_with_nothing_in_its_favour() -> None:
    nothing = Evidence(SUBJECT)
    assert (nothing.verified, nothing.allowed_parent) == ((), None)
    assert not nothing.artifact
    assert not nothing.referrers_index


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ([], Reason.UNTRUSTED_KEY),
        ([KeyState.TRUSTED], Reason.OTHER_ALGORITHM),
        ([KeyState.RETIRED, KeyState.ACTIVE], Reason.OTHER_ALGORITHM),
        ([KeyState.RETIRED], Reason.KEY_RETIRED),
        ([KeyState.RETIRED, KeyState.COMPROMISED], Reason.KEY_COMPROMISED),
    ],
)
def test_what_a_key_did_sign_is_told_to_those_it_counts_for(states: list[KeyState], reason: Reason) -> None:
    keys = [Verifier("a", b"spki", f"key {n}", "any", False, state) for n, state in enumerate(states)]
    stranger = Verifier("b", b"spki", "other", "any", False)
    found = Rejected(Reason.OTHER_ALGORITHM, "cosign-simple", "with PSS", "a")
    assert reason_for(found, [stranger, *keys]) is reason
    assert reason_for(BAD, [stranger, *keys]) is Reason.BAD_SIGNATURE
