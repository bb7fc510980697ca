from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.reference import Repository
from proxy.policies.lint import LintContext, left_without, lint, looks, none_for
from proxy.trust.keys import KeyRing, KeyState
from proxy.trust.pattern import overlap, specificity
from proxy.trust.policy import Clause, Policy, PolicySet, PullRules, PushRules
from tests.unit.trust.test_pattern import NAMES, PATTERNS
from tests.worlds.memory import NOON, SoftSigner

RELEASE = SoftSigner().create("release")
AROUND = LintContext(looks(["release"], KeyRing("r", (RELEASE,))), (), NOON, names_proven=True)
GOOD = Policy(("a/**",), PushRules(sign_with=("release",)), PullRules(require=(Clause(("release",)),)))


def codes(*policies: Policy, **around: Any) -> list[str]:
    return [finding.code for finding in lint(policies, replace(AROUND, **around))]


def pull(**changes: Any) -> Policy:
    return replace(GOOD, pull=replace(GOOD.pull, **changes))


def push(**changes: Any) -> Policy:
    return replace(GOOD, push=replace(GOOD.push, **changes))


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert codes(GOOD) == []


@pytest.mark.parametrize(
    ("repositories", "found"),
    [
        (("a/**", "a/**/**"), ["pattern-never-wins"]),
        (("a/**", "a/b"), ["pattern-adds-nothing"]),
        (("a/**", "a/**"), ["pattern-adds-nothing"]),
        (("a/**", "b/**"), []),
        (("-a/**",), ["pattern-matches-nothing"]),
        (("a..b",), ["pattern-matches-nothing"]),
        (("a/*-",), ["pattern-matches-nothing"]),
        (("a-*",), []),
        (("*/**",), []),
    ],
)
def test_patterns(repositories: tuple[str, ...], found: list[str]) -> None:
    assert codes(replace(GOOD, repositories=repositories)) == found


def test_a_pattern_that_takes_names_back_from_another_policy_is_needed() -> None:
    wide, between = replace(GOOD, repositories=("a/**", "a/b/c")), replace(GOOD, repositories=("a/b/*",))
    assert codes(wide, between) == []


@given(st.lists(PATTERNS, min_size=1, max_size=4), st.lists(PATTERNS, min_size=1, max_size=3), NAMES)
def test_what_never_wins_or_adds_nothing_changes_nothing_when_it_goes(
    one: list[str], two: list[str], name: str
) -> None:
    clash = any(specificity(a) == specificity(b) and overlap(a, b) for a in one for b in two)
    if clash:  # no configuration has that
        return
    first, second = replace(GOOD, repositories=tuple(one)), replace(GOOD, repositories=tuple(two), contact="two")
    policies = PolicySet("r", (first, second))
    for finding in lint(policies.policies, AROUND):
        if finding.code in ("pattern-never-wins", "pattern-adds-nothing"):
            _, at, _, position = finding.where
            assert isinstance(at, int)
            assert isinstance(position, int)
            changed = list(policies.policies)
            left = [p for n, p in enumerate(changed[at].repositories) if n != position]
            changed[at] = replace(changed[at], repositories=tuple(left))
            before, after = policies.for_(Repository(name)), PolicySet("s", tuple(changed)).for_(Repository(name))
            assert (before and before.contact) == (after and after.contact)
            assert (before is None) == (after is None)


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (pull(mode="warn", enforce_after=NOON), ["enforce-after-is-past"]),
        (pull(mode="warn", enforce_after=NOON + timedelta(seconds=1)), []),
        (pull(mode="off"), ["pulls-not-judged"]),
        (pull(blobs="open"), ["blobs-open"]),
        (pull(head_on_denied=True), ["head-on-denied"]),
        (pull(blobs="open", mode="warn"), []),
        (pull(reviewers=("scan*",)), ["no-wildcard"]),
        (push(allow=()), ["nobody-may-push"]),
        (push(formats=("cosign-simple", "notation-jws")), ["no-chain"]),
        (push(allow=("*", "ci")), ["name-adds-nothing"]),
        (push(allow=("ci-*",)), ["no-wildcard"]),
    ],
)
def test_settings(policy: Policy, found: list[str]) -> None:
    assert codes(policy) == found


def test_keys_that_sign_for_nobody_and_clauses_nobody_can_satisfy() -> None:
    partner = pull(require=(Clause(("partner",)),))
    assert codes(partner, trust=("partner",)) == ["signed-and-not-required"]
    assert codes(pull(require=(Clause(("release", "partner"), 2),)), trust=("partner",)) == ["others-must-sign"]
    assert codes(GOOD, keys=looks(["release"], KeyRing("r", ()))) == ["clause-cannot-hold", "no-active-key"]
    retired = replace(RELEASE, state=KeyState.RETIRED)
    assert codes(GOOD, keys=looks(["release"], KeyRing("r", (retired,)))) == ["clause-cannot-hold", "no-active-key"]


def test_names_of_people_where_upstream_proves_none() -> None:
    assert codes(pull(reviewers=("erika",)), names_proven=False) == ["names-not-proven"]
    assert codes(push(allow=("ci",)), names_proven=False) == ["names-not-proven"]
    assert codes(push(allow=("ci",)), names_proven=None) == ["names-not-looked-at"]
    assert codes(GOOD, names_proven=False) == []


def test_what_no_policy_uses() -> None:
    keys = looks(["release", "spare"], KeyRing("r", (RELEASE,)))
    assert codes(GOOD, trust=("partner",), keys=keys) == ["trust-not-used", "key-not-used"]
    assert codes() == ["no-policy", "key-not-used"]


@given(st.lists(PATTERNS), st.lists(PATTERNS), st.lists(NAMES))
def test_those_left_without_a_policy_are_those_that_had_one(old: list[str], new: list[str], known: list[str]) -> None:
    before, after = (PolicySet("r", (Policy(tuple(patterns)),)) for patterns in (old, new))
    left = [name for name in known if before.for_(Repository(name)) and not after.for_(Repository(name))]
    assert list(left_without(old, new, known)) == left


def test_too_many_to_compare_is_said() -> None:
    found = codes(base=("**",), known=tuple(f"r{n}" for n in range(300_000)))
    assert "repositories-not-compared" in found
    assert none_for(["a", "b", "c", "d", "e", "f"]).startswith("a, b, c, d, e and 1 more match no policy any more")
