"""Permissions of roles in the admin API: one table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """The role of an admin token. A token may have several."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    POLICY_ADMIN = "policy-admin"
    KEY_ADMIN = "key-admin"


class Permission(StrEnum):
    """The permission that a route of the admin API requires."""

    STATUS = "status"
    VERIFY = "verify"
    DOCTOR = "doctor"
    KEYS = "keys"
    JOURNAL = "journal"
    RELOAD = "reload"
    SIGN = "sign"
    TOKENS = "tokens"
    CHANGE_TOKENS = "change tokens"
    CHANGE_KEYS = "change keys"
    DENY = "deny"
    EXCEPT = "open exceptions"
    EXCEPT_LONG = "open long exceptions"
    REVIEW = "review exceptions"
    POLICIES = "policies"
    TRY_POLICIES = "try policies"
    CHANGE_POLICIES = "change policies"
    APPROVE = "approve"
    JOBS = "jobs"
    CHANGE_JOBS = "change jobs"


_SEE = frozenset({Permission.STATUS, Permission.VERIFY, Permission.KEYS, Permission.POLICIES})
_OPERATE = frozenset({Permission.DENY, Permission.EXCEPT})
_TOKENS = frozenset({Permission.TOKENS, Permission.CHANGE_TOKENS, Permission.APPROVE})
_POLICIES = frozenset({Permission.TRY_POLICIES, Permission.CHANGE_POLICIES})
_JOBS = frozenset({Permission.JOBS, Permission.CHANGE_JOBS})
_WORK = frozenset({Permission.JOURNAL, Permission.RELOAD, Permission.SIGN})

GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _SEE,
        Role.AUDITOR: _SEE
        | {Permission.JOURNAL, Permission.TOKENS, Permission.JOBS, Permission.TRY_POLICIES, Permission.REVIEW},
        Role.OPERATOR: _SEE
        | _JOBS
        | _OPERATE
        | {Permission.JOURNAL, Permission.RELOAD, Permission.SIGN, Permission.TRY_POLICIES, Permission.DOCTOR},
        Role.POLICY_ADMIN: _SEE
        | _TOKENS
        | _JOBS
        | _POLICIES
        | _WORK
        | _OPERATE
        | {Permission.EXCEPT_LONG, Permission.REVIEW, Permission.DOCTOR},
        Role.KEY_ADMIN: _SEE | _TOKENS | _JOBS | {Permission.JOURNAL, Permission.CHANGE_KEYS, Permission.DOCTOR},
    }
)


# The roles a holder may grant or revoke: the plain ones and its own, never those of the other admin.
_PLAIN = frozenset({Role.VIEWER, Role.AUDITOR, Role.OPERATOR})


def permitted(roles: Collection[Role], permission: Permission) -> bool:
    """True when one of these roles grants the permission; an empty list of roles grants nothing."""
    return any(permission in GRANTS[role] for role in roles)


def holders(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that grant the permission, the least powerful first."""
    return tuple(role for role in Role if permission in GRANTS[role])


def beyond(roles: Collection[Role], wanted: Collection[Role]) -> tuple[Role, ...]:
    """Return those of the wanted roles that a holder of `roles` may neither grant nor revoke.

    No holder can gain or give more than its own roles: a policy-admin cannot make a key-admin.
    """
    if not permitted(roles, Permission.CHANGE_TOKENS):
        return tuple(wanted)
    return tuple(role for role in wanted if role not in roles and role not in _PLAIN)
