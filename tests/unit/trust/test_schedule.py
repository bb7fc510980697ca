from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.trust.keys import BookKey, KeyRing, KeyState, fingerprint
from proxy.trust.schedule import ChangeKind, Handover, KeyPlan, announced, begins, coming, due, parse_overlap
from tests.worlds.memory import NOON

DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)


def key(state: KeyState, name: str, token: str = "hsm", **moments: object) -> BookKey:
    made = BookKey("release", token, "1", "01", name, "ecdsa-p256", name.encode(), state, NOON)
    return replace(made, **moments)  # type: ignore[arg-type]


def ring(*keys: BookKey) -> KeyRing:
    return KeyRing("r", keys)


OLD = key(KeyState.ACTIVE, "old")
PLANS = {"release": KeyPlan(("hsm", "spare"), Handover(), MONTH, WEEK)}


def whats(*keys: BookKey, plans: dict[str, KeyPlan] = PLANS) -> list[tuple[ChangeKind, timedelta, str]]:
    return [(c.what, c.at - NOON, c.blocked) for c in coming(ring(*keys), plans)]


def test_a_key_is_rotated_when_it_is_old_enough_on_each_token_by_itself() -> None:
    spare = key(KeyState.ACTIVE, "spare", "spare", since=NOON + DAY)
    assert whats(OLD, spare) == [(ChangeKind.ROTATE, MONTH, ""), (ChangeKind.ROTATE, MONTH + DAY, "")]


def test_without_a_plan_or_off_the_listed_tokens_nothing_happens() -> None:
    assert whats(OLD, plans={}) == []
    assert whats(key(KeyState.ACTIVE, "left", "gone")) == []
    assert whats(OLD, plans={"release": KeyPlan(("hsm",))}) == []


def test_publish_first_makes_the_key_so_much_earlier() -> None:
    plans = {"release": KeyPlan(("hsm",), Handover(publish_first=WEEK), MONTH)}
    assert whats(OLD, plans=plans) == [(ChangeKind.ROTATE, MONTH - WEEK, "")]
    assert begins(OLD, plans["release"], NOON + MONTH - WEEK) == NOON + MONTH
    assert begins(OLD, plans["release"], NOON + MONTH) == NOON + MONTH + WEEK


def test_one_that_is_prepared_comes_instead_of_another_and_one_without_a_day_is_waited_for() -> None:
    ready = key(KeyState.PREPARED, "ready", activate_at=NOON + DAY)
    assert whats(OLD, ready) == [(ChangeKind.ACTIVATE, DAY, "")]
    (waits,) = whats(OLD, replace(ready, activate_at=None))
    assert waits[:2] == (ChangeKind.ROTATE, MONTH)
    assert "is prepared and has no day" in waits[2]


def test_a_trusted_key_stops_signing_and_is_retired_in_that_order() -> None:
    both = key(KeyState.TRUSTED, "both", signs_until=NOON + WEEK, retire_after=NOON + DAY)
    assert whats(OLD, both, plans={}) == [(ChangeKind.RETIRE, WEEK, ""), (ChangeKind.STOP, WEEK, "")]


def test_the_last_key_that_verifies_is_not_retired_while_no_other_signs() -> None:
    alone = key(KeyState.TRUSTED, "alone", retire_after=NOON)
    assert [c.blocked for c in coming(ring(alone), {})] == ["no other key signs for release"]
    assert due(ring(alone), {}, NOON + MONTH) == ()
    assert [c.what for c in due(ring(alone, OLD), {}, NOON + MONTH)] == [ChangeKind.RETIRE]
    given_up = key(KeyState.ACTIVE, "given up", "gone")
    assert [c.what for c in due(ring(alone, given_up), {}, NOON)] == [ChangeKind.RETIRE]
    assert due(ring(alone, given_up), PLANS, NOON) == ()


def test_due_is_to_the_second_and_announced_a_while_before() -> None:
    second = timedelta(seconds=1)
    assert due(ring(OLD), PLANS, NOON + MONTH - second) == ()
    assert [c.key for c in due(ring(OLD), PLANS, NOON + MONTH)] == [fingerprint(OLD.spki)]
    all_of_it = coming(ring(OLD), PLANS)
    assert announced(all_of_it, PLANS, NOON + MONTH - WEEK - second) == ()
    assert announced(all_of_it, PLANS, NOON + MONTH - WEEK) == all_of_it


def test_states_that_are_over_have_nothing_coming() -> None:
    ended = replace(OLD, activate_at=NOON, signs_until=NOON, retire_after=NOON)
    assert whats(*(replace(ended, state=state) for state in (KeyState.RETIRED, KeyState.COMPROMISED))) == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("publish-first:7d", Handover(publish_first=WEEK)),
        ("dual-sign:7d", Handover(dual_sign=WEEK)),
        ("none", Handover()),
        ("publish-first:7d,dual-sign:30d", Handover(WEEK, MONTH)),
    ],
)
def test_what_an_overlap_means(text: str, meant: Handover) -> None:
    assert parse_overlap(text) == meant


@pytest.mark.parametrize(
    "text", ["", "7d", "publish-first", "publish-first:", "dual-sign:7", "both:7d", "dual-sign:7d,dual-sign:7d", ","]
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        parse_overlap(text)


def test_a_key_that_still_signs_is_not_retired() -> None:
    with pytest.raises(ValueError, match="signs for 30d more, so it cannot be retired after 7d already"):
        Handover(dual_sign=MONTH, retire_after=WEEK)
    with pytest.raises(ValueError, match="cannot be retired"):
        Handover(dual_sign=MONTH).with_overrides(retire_after=WEEK)


def test_what_is_given_takes_the_place_of_what_is_configured() -> None:
    usual = Handover(publish_first=WEEK, retire_after=MONTH)
    assert usual.with_overrides() == usual
    assert usual.with_overrides(Handover(dual_sign=WEEK)) == Handover(dual_sign=WEEK, retire_after=MONTH)
    assert usual.with_overrides(None, WEEK) == Handover(publish_first=WEEK, retire_after=WEEK)


def test_both_ends_are_counted_from_when_the_new_key_begins() -> None:
    assert Handover(dual_sign=WEEK).signs_until(NOON) == NOON + WEEK
    assert Handover(retire_after=MONTH).retires(NOON) == NOON + MONTH
    assert (Handover().signs_until(NOON), Handover().retires(NOON)) == (None, None)
