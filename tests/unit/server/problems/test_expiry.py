from datetime import UTC, datetime, timedelta

import pytest

from proxy.server.problems.expiry import AHEAD, OVER, Expiry, ExpiryKind, due, next_of_each

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def ending(
    days: float, lasts: float | None = None, kind: ExpiryKind = ExpiryKind.CHAIN, name: str = "release"
) -> Expiry:
    at = NOW + timedelta(days=days)
    return Expiry(kind, name, at, "renew it", None if lasts is None else at - timedelta(days=lasts))


@pytest.mark.parametrize("days", AHEAD)
def test_each_threshold_holds_from_its_very_second(days: int) -> None:
    at = ending(days)
    before = at.threshold(NOW - SECOND)
    assert at.threshold(NOW) == days
    assert before == {60: None, 30: 60, 7: 30}[days]


def test_what_ends_is_over_once_its_last_moment_has_passed() -> None:
    assert ending(0).threshold(NOW) == 7, "the last moment still counts"
    assert ending(0).threshold(NOW + SECOND) == OVER
    assert ending(-400, lasts=1).threshold(NOW) == OVER


@pytest.mark.parametrize(
    ("lasts", "left", "expected"),
    [(1, 0.9, None), (7, 6.9, None), (30, 29, None), (30, 7, 7), (60, 59, None), (60, 30, 30), (61, 60, 60)],
)
def test_nobody_is_warned_of_what_was_made_to_last_that_short(lasts: float, left: float, expected: int | None) -> None:
    assert ending(left, lasts).threshold(NOW) == expected


def test_the_most_urgent_comes_first_and_what_is_far_off_not_at_all() -> None:
    soon, late, over = ending(5), ending(50), ending(-1)
    assert due([late, ending(61), soon, over], NOW) == (over, soon, late)


def test_a_warning_says_what_ends_and_when() -> None:
    assert ending(29.5).says(NOW) == "key chain release ends in 29 days, at 2026-06-30 12:00 UTC"
    assert ending(1).says(NOW) == "key chain release ends in 1 day, at 2026-06-02 00:00 UTC"
    assert ending(0.5).says(NOW) == "key chain release ends in less than a day, at 2026-06-01 12:00 UTC"
    assert ending(-1).says(NOW) == "key chain release ended at 2026-05-31 00:00 UTC"


def test_of_each_kind_the_first_counts() -> None:
    many = [ending(9), ending(3), ending(50, kind=ExpiryKind.CRL)]
    assert next_of_each(many) == {ExpiryKind.CHAIN: ending(3).at, ExpiryKind.CRL: ending(50).at}
