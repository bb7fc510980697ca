from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from proxy.trust.permit import Permission, may_push_by_policy, permit
from proxy.trust.policy import Policy, PullRules, PushRules
from proxy.trust.question import Anonymous, Caller, Named
from proxy.trust.reason import Reason
from tests.worlds.stored import decision

NO, YES = decision("no", Reason.UNSIGNED), decision("yes")
ALICE, SCANNER, NOBODY = Named("alice", "basic"), Named("scanner", "token"), Anonymous("scanner")
POLICY = Policy(("**",), PushRules(allow=("alice",)), PullRules(reviewers=("scanner",)))


@pytest.mark.parametrize(("caller", "head", "may_push"), list(product([ALICE, SCANNER, NOBODY], [0, 1], [0, 1])))
def test_what_is_allowed_is_allowed_to_everybody(caller: Caller, head: bool, may_push: bool) -> None:
    for policy in (POLICY, None):
        assert permit(caller, YES, policy, head=head, may_push=may_push) is Permission.ALLOWED
    warned = replace(NO, mode="warn")
    assert permit(caller, warned, POLICY, head=head, may_push=may_push) is Permission.ALLOWED


@pytest.mark.parametrize(
    ("caller", "head", "may_push", "expected"),
    [
        (ALICE, False, True, Permission.DENY),
        (ALICE, True, True, Permission.PUSHER_HEAD),
        (ALICE, True, False, Permission.DENY),
        (SCANNER, False, False, Permission.REVIEWER),
        (SCANNER, True, False, Permission.REVIEWER),
        (NOBODY, False, True, Permission.DENY),
        (NOBODY, True, True, Permission.DENY),
        (NOBODY, True, False, Permission.DENY),
    ],
)
def test_exceptions_by_caller(caller: Caller, head: bool, may_push: bool, expected: Permission) -> None:
    assert permit(caller, NO, POLICY, head=head, may_push=may_push) is expected


def test_without_a_policy_a_pusher_may_still_ask_whether_something_is_there() -> None:
    assert permit(ALICE, NO, None, head=True, may_push=True) is Permission.PUSHER_HEAD
    assert permit(ALICE, NO, None, head=False, may_push=True) is Permission.DENY


def test_open_heads_are_heads_only() -> None:
    policy = replace(POLICY, pull=replace(POLICY.pull, head_on_denied=True))
    assert permit(NOBODY, NO, policy, head=True, may_push=False) is Permission.OPEN_HEAD
    assert permit(NOBODY, NO, policy, head=False, may_push=False) is Permission.DENY


@pytest.mark.parametrize(
    ("allow", "caller", "may"),
    [
        (("*",), NOBODY, True),
        ((), ALICE, False),
        (("alice",), ALICE, True),
        (("alice",), Anonymous("alice"), False),
        (("alice",), SCANNER, False),
        (("al*",), ALICE, False),
    ],
)
def test_a_name_on_the_push_list_counts_when_it_is_proven(allow: tuple[str, ...], caller: Caller, may: bool) -> None:
    assert may_push_by_policy(caller, Policy(("**",), PushRules(allow=allow))) is may
