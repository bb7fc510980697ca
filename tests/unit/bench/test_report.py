"""The table says what was measured, and does not call a missed target held."""

import json
from pathlib import Path

import pytest

from bench.load import Measured
from bench.report import Row, machine, picture, spread, write

FASTER = Row("a pull", "nginx", "1,300 /s", "1,000 /s", 1.3, 1.2)
SLOWER = Row("a push", "direct", "80 ms", "5 ms", 75.0, 25, at_most=True, note="ms")


@pytest.mark.parametrize(
    ("ratio", "at_most", "holds"), [(1.2, False, True), (1.19, False, False), (1.2, True, True), (1.21, True, False)]
)
def test_a_target_holds_on_its_line_and_on_its_good_side(ratio: float, at_most: bool, holds: bool) -> None:
    assert Row("x", "y", "", "", ratio, 1.2, at_most).holds is holds


def test_the_files_say_the_same(tmp_path: Path) -> None:
    table = write([FASTER, SLOWER], tmp_path, machine())
    assert (tmp_path / "results.md").read_text() == table
    assert "| a pull | 1,300 /s | nginx | 1,000 /s | 1.3 | ≥ 1.2 | yes |" in table
    assert "| a push | 80 ms | direct | 5 ms | 75 | ≤ 25 | **no** (ms) |" in table
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [row["holds"] for row in kept["rows"]] == [True, False]
    assert kept["machine"]["python"]


def test_a_bar_ends_before_the_line_where_the_target_is_missed() -> None:
    assert "0.33 x" in picture([SLOWER])
    assert "1.08 x" in picture([FASTER])


def test_the_spread_shows_the_lowest_and_the_highest() -> None:
    assert spread(Measured((1.0, 2345.6, 30.0)), "/s") == "30 /s (1 to 2,346)"
