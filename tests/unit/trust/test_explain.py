from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.faults import Told
from proxy.oci.reference import parse_reference, parse_repository
from proxy.trust import explain
from proxy.trust.decision import Decision
from proxy.trust.evidence import Verified
from proxy.trust.keys import KeyState
from proxy.trust.question import Question
from proxy.trust.reason import Reason, fix_for
from proxy.trust.requirement import Check, Outcome
from tests.worlds.stored import decision

URL, NAME = "https://registry.example", "countersign"
PAGE = f"{URL}/-/d/no"
HOSTILE = "\x1b[31mred\x1b[0m\r\n<script>alert(1)</script>\u202e\x00" + "x" * 500


def denied(reason: Reason = Reason.UNSIGNED) -> Decision:
    return decision("no", reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_message_is_one_line_that_ends_with_its_page(reason: Reason) -> None:
    said = explain.message(denied(reason), NAME, URL)
    assert said.startswith("blocked by countersign (not a login problem): prod/app:latest: ")
    assert said.endswith(f" - {PAGE}")
    assert len(said) <= 300
    assert said.isascii()
    assert said.isprintable()


@given(st.text(max_size=400), st.text(max_size=400))
def test_whatever_is_in_a_decision_a_message_stays_one_line_of_300(contact: str, what: str) -> None:
    check = Check("x", Outcome.INCONCLUSIVE, what, Reason.NOT_VERIFIABLE)
    long = Question(parse_repository("a" * 250), parse_reference("t" * 128))
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE):
        strange = replace(denied(), contact=contact, checks=(check,), outcome=outcome, question=long)
        said = explain.message(strange, NAME, URL)
        assert len(said) <= 300
        assert said.isascii()
        assert said.isprintable()


def test_a_reason_phrase_fits_a_status_line() -> None:
    phrase = explain.phrase(NAME, Reason.UNSIGNED, PAGE)
    assert phrase == f"blocked by countersign: unsigned - {PAGE}"
    assert len(explain.phrase(NAME, Reason.UNSIGNED, "x" * 500)) == 120
    assert explain.phrase("a\r\nb", "c", "d") == "blocked by a??b: c - d"


def test_a_digest_is_shortened_for_people() -> None:
    digest = parse_reference("sha256:" + "ab" * 32)
    assert explain.target(Question(parse_repository("a/b"), digest)) == "a/b@sha256:abababababab..."


def test_the_whole_story_has_criteria_checks_verdict_and_fix_in_this_order() -> None:
    said = explain.text(denied(), NAME, URL)
    places = [said.index(word) for word in ("criteria", "[NO]", "verdict", "fix", "learn", "decision")]
    assert places == sorted(places)
    assert "fix" not in explain.text(decision("yes"), NAME, URL)


def test_nothing_in_it_moves_a_terminal() -> None:
    check = Check(HOSTILE, Outcome.FAILED, HOSTILE, Reason.UNSIGNED)
    strange = replace(denied(), checks=(check,), contact=HOSTILE, help_url=HOSTILE)
    said = explain.text(strange, NAME, URL)
    assert all(line.isprintable() for line in said.splitlines())
    assert "\x1b" not in said + explain.warning(strange, NAME, URL)


@pytest.mark.parametrize("one", [decision("yes"), denied(), decision("w", Reason.BAD_SIGNATURE, "warn")])
def test_json_and_back(one: Decision) -> None:
    assert explain.from_json(explain.as_json(one)) == one


@pytest.mark.parametrize(
    "broken", [{"digest": "x"}, {"outcome": "maybe"}, {"reason": "because"}, {"repository": "A"}, {"checks": [{}]}]
)
def test_json_of_something_else_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  # KeyError, ValueError or Fault
        explain.from_json({**explain.as_json(denied()), **broken})


def test_a_push_that_was_not_signed_says_that_the_tag_did_not_move() -> None:
    said = explain.not_signed(NAME, denied().question, "no answer " * 50, "push again", PAGE)
    assert said.endswith(f"; the tag was not moved; push again - {PAGE}")
    assert len(said) <= 300


def test_a_push_without_a_signing_device_is_not_told_as_a_fault_of_the_image() -> None:
    fix = fix_for(Reason.NOT_SIGNED, "#platform-help", "r.example", pushing=True)
    said = explain.not_signed(NAME, denied().question, Told.DEVICE, fix, PAGE)
    assert said.endswith(
        ": the signing device is unavailable; your image is fine, nothing was changed; "
        f"try again in some minutes, or ask #platform-help - {PAGE}"
    )
    moved = explain.not_signed(NAME, denied().question, Told.DEVICE, fix, PAGE, moved=True)
    assert "nothing was changed" not in moved
    assert "the tag has moved, and lacks the signature that names it; try again" in moved


def test_a_signature_of_a_key_that_no_longer_verifies_is_not_listed_as_a_good_one() -> None:
    state = KeyState.COMPROMISED
    one = replace(denied(Reason.KEY_COMPROMISED), signatures=(Verified("ab" * 32, "cosign", "r/a:1", state=state),))
    said = explain.text(one, NAME, URL)
    assert "by key abababababab, which is compromised (for r/a:1)" in said
    assert explain.from_json(explain.as_json(one)) == one


def test_verdicts() -> None:
    assert explain.verdict(decision("yes"), NAME) == "allowed"
    assert explain.verdict(denied(), NAME) == "blocked by countersign: unsigned: it is not signed"
    assert "mode warn" in explain.verdict(decision("w", Reason.UNSIGNED, "warn"), NAME)
