"""Exceptions by caller, and nothing else: the only place where who asks changes what they get."""

from __future__ import annotations

from enum import StrEnum

from proxy.trust.decision import Decision
from proxy.trust.policy import Policy
from proxy.trust.question import Caller, Named
from proxy.trust.reason import Reason


class Permission(StrEnum):
    """Why a request is answered with content, or `DENY`."""

    ALLOWED = "allowed"
    PUSHER_HEAD = "pusher-head"  # a pusher may learn that something exists, or clients abort their push (WIRE 6)
    REVIEWER = "reviewer"
    OPEN_HEAD = "open-head"  # `head_on_denied: allow`
    DENY = "deny"


def permit(caller: Caller, decision: Decision, policy: Policy | None, *, head: bool, may_push: bool) -> Permission:
    """Return what this caller gets of a decided manifest. Never part of a cached decision."""
    if decision.allowed:
        return Permission.ALLOWED
    if policy is None:
        return Permission.PUSHER_HEAD if head and may_push else Permission.DENY
    denied = decision.reason is Reason.DENIED_DIGEST  # also to reviewers; who replaces it must learn that it is there
    if not denied and isinstance(caller, Named) and caller.name in policy.pull.reviewers:
        return Permission.REVIEWER
    if head and may_push and may_push_by_policy(caller, policy):
        return Permission.PUSHER_HEAD
    if head and policy.pull.head_on_denied and not denied:
        return Permission.OPEN_HEAD
    return Permission.DENY


def may_push_by_policy(caller: Caller, policy: Policy) -> bool:
    """True when the policy's push list has this caller: `*` is everybody, a name only counts when proven."""
    allow = policy.push.allow
    return "*" in allow or (isinstance(caller, Named) and caller.name in allow)
