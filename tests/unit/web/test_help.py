"""The table of lessons is complete and speaks of commands that exist."""

from proxy.trust.reason import Reason
from proxy.web.help import LESSONS


def test_there_is_one_lesson_for_each_reason_and_no_other() -> None:
    assert set(LESSONS) == set(Reason)


def test_backquotes_come_in_pairs() -> None:
    assert all(part.count("`") % 2 == 0 for lesson in LESSONS.values() for part in vars(lesson).values())
