"""Attack 30: numbers, names and patterns chosen to cost us time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import ListRepositories, ListTags
from proxy.oci.paths import parse
from proxy.oci.reference import REPOSITORY_LENGTH, parse_repository
from proxy.trust.pattern import matches, overlap, specificity


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize("path", ["/v2/_catalog", "/v2/a/tags/list"])
def test_a_billion_entries_are_asked_of_upstream_as_many_as_we_relay(path: str) -> None:
    for text in ("10001", "1000000000", "9" * 19):
        op = parse("GET", path, f"n={text}")
        assert isinstance(op, ListRepositories | ListTags)
        assert op.n == Limits().list_entries


@pytest.mark.parametrize("text", ["1e9", "-1", "+1", "1.0", "0x10", "%00", "\u0661", "1_000", "9" * 4000, " 1", "NaN"])
def test_what_is_no_number_of_entries_is_refused(text: str) -> None:
    with pytest.raises(Fault) as refused:
        parse("GET", "/v2/_catalog", f"n={text}")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "name",
    [
        "a" * 254 + "!",
        "a-" * 127 + "-",
        "a/" * 127 + "/",
        "a__" * 84 + "_",
        "-" * 255,
        "a" + "-" * 253 + "!",
        "a.b_c__d---e/" * 19 + "!",
        "a" * 10**6,
        "a-" * 10**6,
    ],
    ids=range(9),
)
def test_names_that_make_expressions_backtrack_are_refused_at_once(name: str) -> None:
    def work() -> None:
        for _ in range(100):
            with pytest.raises(Fault):
                parse_repository(name)

    assert seconds(work) < 1


def test_ordinary_names_cost_microseconds() -> None:
    def work() -> None:
        for _ in range(1000):
            parse_repository("library/some-team/some_service.api")

    assert seconds(work) < 0.5


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 120 + "b", "**/" * 80 + "b", "**/a/" * 50 + "b", "*" * 250, "a*/" * 80 + "b", "**/*/" * 50 + "b"],
)
@pytest.mark.parametrize("name", ["a" * REPOSITORY_LENGTH, "a/" * 127 + "a", "aa/" * 84 + "a"])
def test_patterns_that_make_globs_backtrack_are_decided_at_once(pattern: str, name: str) -> None:
    assert seconds(lambda: matches(pattern, name)) < 0.2
    assert seconds(lambda: overlap(pattern, name)) < 1
    assert seconds(lambda: overlap(pattern, "**/" + pattern)) < 1
    assert seconds(lambda: specificity(pattern)) < 0.01


@pytest.mark.parametrize("pattern", ["(a+)+$", "[a-z]+", "a|b", "a{1,99}", "^a$", "\\w"])
def test_expressions_are_plain_text_in_a_pattern(pattern: str) -> None:
    assert not matches(pattern, "a")
    assert matches(pattern, pattern)
