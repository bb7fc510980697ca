from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given

from proxy.oci.reference import Repository, parse_repository
from proxy.trust.pattern import matches
from proxy.trust.policy import Policy, PolicySet, PullRules
from tests.worlds.memory import NOON
from tests.worlds.strategies import repositories

SET = PolicySet(
    "1",
    (
        Policy(("**",), contact="all"),
        Policy(("prod/**",), contact="prod"),
        Policy(("prod/*",), contact="prod, one segment"),
        Policy(("prod/app", "dev/app"), contact="two names"),
        Policy(("*/secret",), contact="secrets"),
    ),
)


@pytest.mark.parametrize(
    ("repository", "contact"),
    [
        ("anything", "all"),
        ("a/b/c", "all"),
        ("prod/a/b", "prod"),
        ("prod/x", "prod, one segment"),
        ("prod/app", "two names"),
        ("dev/app", "two names"),
        ("dev/secret", "secrets"),
    ],
)
def test_the_most_specific_pattern_wins(repository: str, contact: str) -> None:
    policy = SET.for_(parse_repository(repository))
    assert policy is not None
    assert policy.contact == contact


def test_no_match_is_no_policy() -> None:
    assert PolicySet("1", ()).for_(parse_repository("a")) is None
    assert PolicySet("1", (Policy(("prod/**",)),)).for_(parse_repository("product/x")) is None
    assert PolicySet("1", (Policy(()),)).for_(parse_repository("a")) is None


@given(repositories())
def test_what_is_found_matches_and_is_found_again(repository: Repository) -> None:
    found = SET.for_(repository)
    assert found is not None
    assert any(matches(pattern, repository) for pattern in found.repositories)
    assert SET.for_(repository) is found


@pytest.mark.parametrize(("seconds", "mode"), [(-1, "warn"), (0, "enforce"), (1, "enforce")])
def test_warn_becomes_enforce_at_its_moment(seconds: int, mode: str) -> None:
    rules = PullRules("warn", NOON)
    assert rules.mode_at(NOON + timedelta(seconds=seconds)) == mode


def test_only_warn_has_such_a_moment() -> None:
    assert PullRules("off", NOON).mode_at(NOON) == "off"
    assert PullRules("warn").mode_at(NOON) == "warn"
    assert PullRules("enforce", NOON + timedelta(days=1)).mode_at(NOON) == "enforce"
