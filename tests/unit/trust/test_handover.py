from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.trust.schedule import Handover, parse_overlap
from tests.worlds.memory import NOON

WEEK, MONTH = timedelta(days=7), timedelta(days=30)


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
