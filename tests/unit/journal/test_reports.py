from datetime import timedelta

from proxy.journal.port import Callers
from proxy.journal.reports import Warned, WouldBlock, summed
from tests.worlds.memory import NOON

LATER = NOON + timedelta(minutes=1)


def test_reasons_of_one_reference_are_one_line() -> None:
    lines = summed(
        [
            Warned("a", "1", "unsigned", 2, NOON, 7, "d7"),
            Warned("a", "1", "untrusted_key", 5, NOON, 3, "d3"),
            Warned("a", "1", "unsigned", 4, LATER, 5, "d5"),
        ],
        {("a", "1"): Callers(1, ("ann",))},
    )
    assert lines == (
        WouldBlock("a", "1", 11, (("unsigned", 6), ("untrusted_key", 5)), LATER, "d7", Callers(1, ("ann",))),
    )


def test_the_most_pulled_comes_first_then_the_alphabet() -> None:
    rows = [("b", "1", 1), ("a", "2", 1), ("a", "1", 1), ("c", "1", 9)]
    lines = summed((Warned(repository, tag, "unsigned", n, NOON, 1, "d") for repository, tag, n in rows), {})
    assert [(line.repository, line.reference) for line in lines] == [("c", "1"), ("a", "1"), ("a", "2"), ("b", "1")]


def test_nothing_warned_is_nothing_to_block() -> None:
    assert summed([], {}) == ()
