from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.reference import Repository, parse_repository
from proxy.trust import policy
from proxy.trust.pattern import matches, specificity
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


def test_of_two_patterns_as_specific_as_each_other_the_first_policy_wins() -> None:
    for policies in permutations((Policy(("t*am/app",), contact="a"), Policy(("team/ap*",), contact="b"))):
        assert PolicySet("1", policies).for_(parse_repository("team/app")) is policies[0]


@given(repositories(), st.permutations(SET.policies))
def test_the_index_by_first_segment_finds_what_looking_at_every_pattern_finds(
    repository: Repository, policies: list[Policy]
) -> None:
    every = [
        (specificity(p), -n) for n, each in enumerate(policies) for p in each.repositories if matches(p, repository)
    ]
    assert PolicySet("1", tuple(policies)).for_(repository) is policies[-max(every)[1]]


def test_the_first_pull_of_a_repository_does_not_look_at_the_patterns_of_ten_thousand_teams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It held the server up for 20 ms, for every repository and revision of the policies."""
    looked: list[str] = []

    def noted(pattern: str, name: str) -> bool:
        looked.append(pattern)
        return matches(pattern, name)

    monkeypatch.setattr(policy, "matches", noted)
    teams = PolicySet("1", (*SET.policies, *(Policy((f"team{n}/**",)) for n in range(10_000))))
    found = teams.for_(parse_repository("team77/app"))
    assert found is not None
    assert found.repositories == ("team77/**",)
    assert sorted(looked) == ["**", "*/secret", "team77/**"]


@pytest.mark.parametrize(("seconds", "mode"), [(-1, "warn"), (0, "enforce"), (1, "enforce")])
def test_warn_becomes_enforce_at_its_moment(seconds: int, mode: str) -> None:
    rules = PullRules("warn", NOON)
    assert rules.mode_at(NOON + timedelta(seconds=seconds)) == mode


def test_only_warn_has_such_a_moment() -> None:
    assert PullRules("off", NOON).mode_at(NOON) == "off"
    assert PullRules("warn").mode_at(NOON) == "warn"
    assert PullRules("enforce", NOON + timedelta(days=1)).mode_at(NOON) == "enforce"
