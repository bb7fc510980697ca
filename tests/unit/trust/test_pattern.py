from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.trust.pattern import COMPARED, TooAlike, covers, glob, matches, neighbours, overlap, specificity

PARTS = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "a*b", "*a*", "**"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
NAMES = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a", "a", True),
        ("a", "a/b", False),
        ("*", "a", True),
        ("*", "a/b", False),
        ("**", "a/b/c", True),
        ("team/**", "team", True),
        ("team/**", "team/x/y", True),
        ("team/**", "teamx/y", False),
        ("team/*", "team", False),
        ("team/*", "team/x/y", False),
        ("**/app", "app", True),
        ("**/app", "a/b/app", True),
        ("**/app", "a/b/app/c", False),
        ("a/**/b/**/c", "a/b/b/x/c", True),
        ("a/**/b/**/c", "a/x/c", False),
        ("app-*", "app-", True),
        ("app-*-x", "app-x", False),
        ("a*b*c", "a1b2b3c", True),
        ("a**", "ab", True),
        ("a**", "ab/c", False),
        ("a.b", "axb", False),
        ("[ab]", "a", False),
        ("a?", "ab", False),
    ],
)
def test_stars_stand_for_what_they_say(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@given(PATTERNS, NAMES)
def test_matching_agrees_with_an_expression(pattern: str, name: str) -> None:
    parts = ("(?:/[^/]+)*" if part == "**" else "/" + part.replace("*", "[^/]*") for part in pattern.split("/"))
    assert matches(pattern, name) is (re.fullmatch("".join(parts), "/" + name) is not None)


@given(st.text("ab*", max_size=6), st.text("ab", max_size=6))
def test_a_glob_agrees_with_an_expression(pattern: str, text: str) -> None:
    assert glob(pattern, text) is (re.fullmatch(pattern.replace("*", ".*"), text) is not None)


@given(PATTERNS, PATTERNS, NAMES)
def test_patterns_that_share_a_name_overlap(one: str, other: str, name: str) -> None:
    assert overlap(one, other) is overlap(other, one)
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a/*", "*/b", True),
        ("a/*", "b/*", False),
        ("a*", "*b", True),
        ("a*x", "b*", False),
        ("*x", "*y", False),
        ("a/**", "**/a", True),
        ("a/**", "b/**", False),
        ("**/a", "**/b", False),
        ("a/**/z", "a/*/y", False),
        ("a/**/z", "a/z", True),
        ("a*b", "ab", True),
        ("a*b", "a", False),
    ],
)
def test_overlaps(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is expected


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("a/b", "a/*"),
        ("a/*", "a/**"),
        ("a/*/**", "a/**"),
        ("*/**", "**"),
        ("*/*", "**"),
        ("*/*", "*/**"),
        ("app-*", "*"),
        ("a*", "*a*"),
        ("a/b/**", "a/**"),
        ("**/a/**", "**"),
        ("team/app-*", "team/*"),
        ("team/*/x", "team/**"),
        ("**/*/**", "**"),
    ],
)
def test_the_narrower_pattern_is_the_more_specific(narrow: str, wide: str) -> None:
    assert specificity(narrow) > specificity(wide)


@given(PATTERNS, PATTERNS, NAMES)
def test_a_pattern_that_covers_another_matches_all_its_names(wide: str, narrow: str, name: str) -> None:
    if covers(wide, narrow) and matches(narrow, name):
        assert matches(wide, name)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [("a/**", "a/b", True), ("**", "**/**", True), ("*", "**", False), ("a/*", "a/*-x", True), ("a*", "*a", False)],
)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@given(st.lists(PATTERNS, min_size=1, max_size=8))
def test_whatever_two_patterns_share_they_are_neighbours(patterns: list[str]) -> None:
    near = dict(neighbours([patterns]))
    assert set(near) == set(patterns)
    for one in patterns:
        for other in patterns:
            if overlap(one, other) or covers(one, other):
                assert other in near[one]
    assert all(len(set(found)) == len(found) for found in near.values())


@pytest.mark.parametrize("team", ["team-{}/**", "team-{}", "**/app-{}", "x{}*y", "a/{}/*/**"])
def test_thousands_of_patterns_with_names_of_their_own_are_hardly_compared(team: str) -> None:
    patterns = [team.format(f"{n:04}") for n in range(3000)]
    assert sum(len(near) for _, near in neighbours([patterns])) == 3000, "each with itself"


def test_patterns_that_all_begin_and_end_alike_are_not_compared_for_ever() -> None:
    alike = [f"*/x{n:04}/*" for n in range(1000)]
    compared = []
    with pytest.raises(TooAlike):
        compared += [len(near) for _, near in neighbours([alike])]
    assert sum(len(near) for _, near in neighbours([alike[:500]])) == 500 * 500 == COMPARED
    with pytest.raises(TooAlike):
        list(neighbours([alike[:400], alike[400:800]]))
