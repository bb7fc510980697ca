from __future__ import annotations

from proxy.cli.exits import Exit


def test_codes_are_what_scripts_and_units_already_rely_on() -> None:
    """A code never changes its meaning: this list may grow at its end only."""
    names = ["FINE", "NO", "USAGE", "CONFIG", "NO_SERVER", "INCONCLUSIVE"]
    names += ["TOKEN", "UPSTREAM", "STORE", "CLOCK", "PIN_REFUSED", "WAITING", "NEWLY_BLOCKED"]
    assert [code.name for code in Exit][: len(names)] == names
    assert [int(code) for code in Exit] == list(range(len(Exit)))


def test_no_code_is_one_that_shells_give_to_signals() -> None:
    assert max(Exit) < 126
