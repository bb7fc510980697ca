"""Two people: who counts as one, and a request is decided once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.admin.approval import (
    Approval,
    ApprovalState,
    agrees,
    decided,
    ended,
    one_person,
    request_there,
    short_of_two,
)
from proxy.trust.actor import Actor
from proxy.trust.roles import Role
from tests.worlds.memory import NOON

ERIKA = Actor("erika", "admin-token:a", "", "r", (Role.KEY_ADMIN,), token_id="a")
MAX = Actor("max", "admin-token:b", token_id="b")
REQUEST = Approval("0" * 16, "rotate_key", {}, "{}", ("do it",), ERIKA, NOON, NOON + timedelta(days=1))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ERIKA, MAX, False),
        (ERIKA, ERIKA, True),
        (ERIKA, replace(MAX, name="Erika"), True),
        (ERIKA, Actor("erika", "client-cert:c"), True),
        (ERIKA, replace(MAX, token_id="a"), True),
        (Actor("operator on the host", "socket"), ERIKA, False),
        (Actor("operator on the host", "socket"), Actor("operator on the host", "socket"), True),
        (Actor("x", "client-cert:c"), Actor("y", "client-cert:d"), False),
    ],
)
def test_who_counts_as_one(one: Actor, other: Actor, same: bool) -> None:
    assert one_person(one, other) is same is one_person(other, one)


KEYS, POLICIES = Role.KEY_ADMIN, Role.POLICY_ADMIN


@pytest.mark.parametrize(
    ("roles", "holders", "short"),
    [
        ((KEYS,), [], True),
        ((KEYS,), [("a", (KEYS,))], True),
        ((KEYS,), [("a", (KEYS,)), ("A", (KEYS,))], True),
        ((KEYS,), [("a", (KEYS,)), ("b", (KEYS, POLICIES))], False),
        ((KEYS,), [("a", (POLICIES,)), ("b", (POLICIES,)), ("c", (Role.OPERATOR,))], True),
        ((KEYS, POLICIES), [("a", (KEYS,)), ("b", (KEYS,))], False),
        ((KEYS, POLICIES, Role.VIEWER), [("a", (KEYS, POLICIES))], True),
    ],
)
def test_the_first_two_of_each_role(
    roles: tuple[Role, ...], holders: list[tuple[str, tuple[Role, ...]]], short: bool
) -> None:
    assert short_of_two(roles, holders) is short


def test_which_roles_agree_to_what_others_ask_for() -> None:
    assert {role for role in Role if agrees((role,))} == {KEYS, POLICIES}
    assert not agrees(())


def test_who_asks_for_the_same_again_has_one_request() -> None:
    again = replace(REQUEST, id="1" * 16, created=NOON + timedelta(hours=1))
    assert request_there(again, [REQUEST], None) is REQUEST
    for other in (
        replace(again, by=MAX),
        replace(again, route="x"),
        replace(again, body="{ }"),
        replace(again, places={"profile": "a"}),
        replace(again, plan=("do more",)),
        replace(again, created=NOON + timedelta(days=1)),
    ):
        assert request_there(other, [REQUEST], None) is None


def test_a_request_is_decided_once_and_ends_once() -> None:
    agreed = decided(REQUEST, ApprovalState.APPROVED, MAX, NOON, "seen")
    assert agreed is not None
    assert (agreed.state, agreed.decided_by, agreed.note) == (ApprovalState.APPROVED, MAX, "seen")
    for state in (ApprovalState.APPROVED, ApprovalState.REJECTED, ApprovalState.EXPIRED):
        assert decided(agreed, state, MAX, NOON, "") is None
    done = ended(agreed, ApprovalState.DONE, "")
    assert done is not None
    assert ended(done, ApprovalState.FAILED, "") is None
    assert ended(REQUEST, ApprovalState.DONE, "") is None
