"""Roles: one table, and nobody hands out what they do not have."""

import pytest

from proxy.trust.roles import GRANTS, Permission, Role, beyond, holders, permitted

PEOPLE = set(Role) - {Role.POLICY_APPLY}


def test_every_role_and_every_permission_is_in_the_table() -> None:
    assert set(GRANTS) == set(Role)
    assert frozenset[Permission]().union(*GRANTS.values()) == set(Permission)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        (Permission.STATUS, PEOPLE),
        (Permission.KEYS, PEOPLE),
        (Permission.POLICIES, set(Role)),
        (Permission.CHANGE_POLICIES, {Role.POLICY_ADMIN, Role.POLICY_APPLY}),
        (Permission.JOURNAL, PEOPLE - {Role.VIEWER}),
        (Permission.RELOAD, {Role.OPERATOR, Role.POLICY_ADMIN}),
        (Permission.SIGN, {Role.OPERATOR, Role.POLICY_ADMIN}),
        (Permission.TOKENS, {Role.AUDITOR, Role.POLICY_ADMIN, Role.KEY_ADMIN}),
        (Permission.CHANGE_TOKENS, {Role.POLICY_ADMIN, Role.KEY_ADMIN}),
        (Permission.CHANGE_KEYS, {Role.KEY_ADMIN}),
        (Permission.APPROVE, {Role.POLICY_ADMIN, Role.KEY_ADMIN}),
        (Permission.JOBS, PEOPLE - {Role.VIEWER}),
        (Permission.OWN_JOBS, set(Role) - {Role.VIEWER}),
        (Permission.CHANGE_JOBS, {Role.OPERATOR, Role.POLICY_ADMIN, Role.KEY_ADMIN}),
    ],
)
def test_who_may_what(permission: Permission, roles: set[Role]) -> None:
    assert set(holders(permission)) == roles
    assert {role for role in Role if permitted([role], permission)} == roles
    assert not permitted([], permission)


def test_nobody_hands_out_more_than_they_have() -> None:
    assert beyond([Role.POLICY_ADMIN], [Role.KEY_ADMIN, Role.OPERATOR]) == (Role.KEY_ADMIN,)
    assert beyond([Role.KEY_ADMIN], [Role.POLICY_ADMIN, Role.KEY_ADMIN]) == (Role.POLICY_ADMIN,)
    assert beyond([Role.KEY_ADMIN, Role.POLICY_ADMIN], list(Role)) == ()
    assert beyond([Role.OPERATOR], [Role.VIEWER]) == (Role.VIEWER,)
    assert beyond([Role.KEY_ADMIN], [Role.POLICY_APPLY]) == (Role.POLICY_APPLY,), "it may not change policies itself"
    assert beyond([Role.POLICY_ADMIN], [Role.POLICY_APPLY]) == ()
    assert beyond([Role.POLICY_APPLY], [Role.POLICY_APPLY]) == (Role.POLICY_APPLY,)


def test_a_pipeline_may_change_policies_and_nothing_else() -> None:
    assert {each.value for each in GRANTS[Role.POLICY_APPLY]} == {
        "policies", "try policies", "change policies", "own jobs"
    }  # fmt: skip
