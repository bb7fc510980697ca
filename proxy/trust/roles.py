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
    POLICY_APPLY = "policy-apply"  # for a pipeline


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
    OWN_JOBS = "own jobs"
    CHANGE_JOBS = "change jobs"


_SEE = frozenset({Permission.STATUS, Permission.VERIFY, Permission.KEYS, Permission.POLICIES})
_OPERATE = frozenset({Permission.DENY, Permission.EXCEPT})
_TOKENS = frozenset({Permission.TOKENS, Permission.CHANGE_TOKENS, Permission.APPROVE})
_POLICIES = frozenset({Permission.TRY_POLICIES, Permission.CHANGE_POLICIES})
_READ_JOBS = frozenset({Permission.JOBS, Permission.OWN_JOBS})
_JOBS = _READ_JOBS | {Permission.CHANGE_JOBS}
_WORK = frozenset({Permission.JOURNAL, Permission.RELOAD, Permission.SIGN})

GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _SEE,
        Role.AUDITOR: _SEE
        | _READ_JOBS
        | {Permission.JOURNAL, Permission.TOKENS, Permission.TRY_POLICIES, Permission.REVIEW},
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
        Role.POLICY_APPLY: _POLICIES | {Permission.POLICIES, Permission.OWN_JOBS},
    }
)


# The roles that both admins may grant or revoke.
_PLAIN = frozenset({Role.VIEWER, Role.AUDITOR, Role.OPERATOR})


def permitted(roles: Collection[Role], permission: Permission) -> bool:
    """True when one of these roles grants the permission; an empty list of roles grants nothing."""
    return any(permission in GRANTS[role] for role in roles)


def holders(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that grant the permission, the least powerful first."""
    return tuple(role for role in Role if permission in GRANTS[role])


def beyond(roles: Collection[Role], wanted: Collection[Role]) -> tuple[Role, ...]:
    """Return those of the wanted roles that a holder of `roles` may neither grant nor revoke.

    An admin grants the plain roles, and those that may nothing that its own may not: a policy-admin makes no key-admin.
    """
    if not permitted(roles, Permission.CHANGE_TOKENS):
        return tuple(wanted)
    own = frozenset[Permission]().union(*(GRANTS[role] for role in roles))
    return tuple(role for role in wanted if role not in _PLAIN and not GRANTS[role] <= own)
