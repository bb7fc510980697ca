from datetime import timedelta

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.rows import may_follow, row_key, same_row, with_count
from tests.worlds.memory import NOON
from tests.worlds.stored import decision, happened

EVENT = happened(EventKind.PULL_ALLOWED, decision("d"))


def test_only_pulls_that_policy_lets_through_may_be_answered_first() -> None:
    follow = {kind for kind in EventKind if may_follow(Event(NOON, kind))}
    assert follow == {EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.TURNED_AWAY}


@pytest.mark.parametrize("name", ["decision_id", "who", "how", "repository", "reference", "reason"])
def test_what_makes_another_row(name: str) -> None:
    assert row_key(EVENT._replace(**{name: "x"})) != row_key(EVENT)  # type: ignore[arg-type]


def test_without_a_decision_what_was_tried_makes_no_other_row() -> None:
    bare = EVENT._replace(decision_id="")
    assert row_key(bare._replace(reference="x")) == row_key(bare)


@pytest.mark.parametrize("name", ["request_id", "digest", "key_revision"])
def test_what_does_not(name: str) -> None:
    assert same_row(EVENT._replace(**{name: "x"})) == same_row(EVENT)  # type: ignore[arg-type]


def test_a_row_ends_with_the_hour() -> None:
    assert row_key(EVENT._replace(at=NOON + timedelta(minutes=59, seconds=59))) == row_key(EVENT)
    assert row_key(EVENT._replace(at=NOON + timedelta(minutes=60))) != row_key(EVENT)


def test_parts_do_not_run_into_one_another() -> None:
    assert row_key(EVENT._replace(who="ab", how="c")) != row_key(EVENT._replace(who="a", how="bc"))


def test_once_needs_no_count() -> None:
    assert with_count(EVENT, 1) is EVENT
    assert with_count(EVENT._replace(detail={"a": 1}), 2).detail == {"a": 1, "count": 2}
