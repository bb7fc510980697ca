from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from proxy.trust.permit import PullPermission, may_push_by_policy, permit
from proxy.trust.policy import Policy, PullRules, PushRules
from proxy.trust.question import Anonymous, Caller, Named
from proxy.trust.reason import Reason
from tests.worlds.stored import decision

NO, YES = decision("no", Reason.UNSIGNED), decision("yes")
ALICE, SCANNER, NOBODY = Named("alice", "basic"), Named("scanner", "token"), Anonymous("scanner")
POLICY = Policy(("**",), PushRules(allow=("alice",)), PullRules(reviewers=("scanner",)))


@pytest.mark.parametrize(("caller", "head", "push_look"), list(product([ALICE, SCANNER, NOBODY], [0, 1], [0, 1])))
def test_what_is_allowed_is_allowed_to_everybody(caller: Caller, head: bool, push_look: bool) -> None:
    for policy in (POLICY, None):
        assert permit(caller, YES, policy, head=head, push_look=push_look) is PullPermission.ALLOWED
    warned = replace(NO, mode="warn")
    assert permit(caller, warned, POLICY, head=head, push_look=push_look) is PullPermission.ALLOWED


@pytest.mark.parametrize(
    ("caller", "head", "push_look", "expected"),
    [
        (ALICE, False, False, PullPermission.DENY),
        (ALICE, True, True, PullPermission.PUSH_LOOK),
        (ALICE, True, False, PullPermission.DENY),
        (SCANNER, False, False, PullPermission.REVIEWER),
        (SCANNER, True, False, PullPermission.REVIEWER),
        (SCANNER, True, True, PullPermission.PUSH_LOOK),
        (NOBODY, False, False, PullPermission.DENY),
        (NOBODY, True, False, PullPermission.DENY),
    ],
)
def test_exceptions_by_caller(caller: Caller, head: bool, push_look: bool, expected: PullPermission) -> None:
    assert permit(caller, NO, POLICY, head=head, push_look=push_look) is expected


def test_without_a_policy_a_push_still_gets_as_far_as_being_told_so() -> None:
    assert permit(ALICE, NO, None, head=True, push_look=True) is PullPermission.PUSH_LOOK
    assert permit(ALICE, NO, None, head=True, push_look=False) is PullPermission.DENY


def test_a_denied_digest_is_not_pushed_again_but_a_tag_on_it_is_pushed_over() -> None:
    recalled = replace(NO, reason=Reason.DENIED_DIGEST)
    by_digest = replace(recalled, question=replace(recalled.question, reference=recalled.digest))
    assert permit(ALICE, recalled, POLICY, head=True, push_look=True) is PullPermission.PUSH_LOOK
    assert permit(ALICE, by_digest, POLICY, head=True, push_look=True) is PullPermission.DENY


def test_open_heads_are_heads_only() -> None:
    policy = replace(POLICY, pull=replace(POLICY.pull, head_on_denied=True))
    assert permit(NOBODY, NO, policy, head=True, push_look=False) is PullPermission.OPEN_HEAD
    assert permit(NOBODY, NO, policy, head=False, push_look=False) is PullPermission.DENY


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
