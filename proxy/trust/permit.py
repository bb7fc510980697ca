"""Exceptions by caller: the only place where the caller's identity changes the response."""

from __future__ import annotations

from enum import StrEnum

from proxy.oci.reference import is_digest
from proxy.trust.decision import Decision
from proxy.trust.policy import Policy
from proxy.trust.question import Caller, Named
from proxy.trust.reason import Reason


class PullPermission(StrEnum):
    """Why a request is answered with content, or `DENY`."""

    ALLOWED = "allowed"
    PUSH_LOOK = "push-look"  # answered 404: the push goes on, and a client with a cached copy does not start it
    REVIEWER = "reviewer"
    OPEN_HEAD = "open-head"  # `head_on_denied: allow`
    DENY = "deny"


def permit(caller: Caller, decision: Decision, policy: Policy | None, *, head: bool, push_look: bool) -> PullPermission:
    """Return what this caller may get of a decided manifest. Never part of a cached decision.

    `push_look` is true when a caller with the right to push checks for the manifest before pushing.
    """
    if decision.allowed:
        return PullPermission.ALLOWED
    denied = decision.reason is Reason.DENIED_DIGEST  # a denial holds for reviewers and open heads too
    if push_look and not (denied and is_digest(decision.question.reference)):
        return PullPermission.PUSH_LOOK
    if policy is None or denied:
        return PullPermission.DENY
    if isinstance(caller, Named) and caller.name in policy.pull.reviewers:
        return PullPermission.REVIEWER
    return PullPermission.OPEN_HEAD if head and policy.pull.head_on_denied else PullPermission.DENY


def may_push_by_policy(caller: Caller, policy: Policy) -> bool:
    """True when the policy's push list includes this caller: `*` is every caller; a name counts only if proven."""
    allow = policy.push.allow
    return "*" in allow or (isinstance(caller, Named) and caller.name in allow)
