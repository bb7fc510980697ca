"""The closed vocabulary of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class EventKind(StrEnum):
    """The kinds of events. A new kind is added here first, then documented in docs/events.md (a test compares)."""

    PULL_ALLOWED = "pull.allowed"
    PULL_WARNED = "pull.warned"
    PULL_DENIED = "pull.denied"
    PULL_REVIEWED = "pull.reviewed"
    PULL_EXCEPTED = "pull.excepted"
    BLOB_DENIED = "blob.denied"
    PUSH_ACCEPTED = "push.accepted"
    PUSH_DENIED = "push.denied"
    UPSTREAM_UNAVAILABLE = "upstream.unavailable"
    TURNED_AWAY = "caller.turned_away"
    PUSH_NOT_SIGNED = "push.not_signed"
    PUSH_UNSIGNED = "push.unsigned"
    PUSH_SETTLED = "push.settled"
    SIGNED = "signature.made"
    COUNTERSIGNED = "image.countersigned"
    NOT_TIMESTAMPED = "signature.not_timestamped"
    SIGNATURE_ATTACHED = "signature.attached"
    SIGNATURE_REMOVED = "signature.removed"
    SIGNATURE_LEFT = "signature.left"
    SIGNATURE_LOST = "signature.lost"
    SIGNATURE_REPAIRED = "signature.repaired"
    TAG_REPLACED = "tag.replaced"
    MANIFEST_DELETED = "manifest.deleted"
    BLOB_DELETED = "blob.deleted"
    KEY_CREATED = "key.created"
    KEY_STATE = "key.state"
    KEY_LOST = "key.lost"
    KEY_STANDBY = "key.standby"
    DENIAL_ADDED = "denial.added"
    DENIAL_REMOVED = "denial.removed"
    EXCEPTION_OPENED = "exception.opened"
    EXCEPTION_CLOSED = "exception.closed"
    EXCEPTION_REVIEWED = "exception.reviewed"
    KEY_REBOUND = "key.rebound"
    KEY_BACKED_UP = "key.backed_up"
    POLICY_CHANGED = "policy.changed"
    KEY_CHAIN = "key.chain"
    POLICY_LOADED = "policy.loaded"
    CONFIG_LOADED = "config.loaded"
    CONFIG_REFUSED = "config.refused"
    ADMIN_CALLED = "admin.called"
    AUDIT_READ = "audit.read"
    ADMIN_REFUSED = "admin.refused"
    ADMIN_TOKEN = "admin.token"  # noqa: S105  a kind of event
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REJECTED = "approval.rejected"
    APPROVAL_EXPIRED = "approval.expired"
    JOB_QUEUED = "job.queued"
    JOB_ENDED = "job.ended"
    PROBLEM_BEGAN = "problem.began"
    PROBLEM_ENDED = "problem.ended"
    STARTED = "server.started"
    STOPPED = "server.stopped"


FROM = "from"  # the detail with the address of a caller


def _named(*parts: str) -> tuple[EventKind, ...]:
    return tuple(kind for kind in EventKind if kind.value.startswith(parts))


# Kinds that are searched together, by name. `admin.called` are the calls that change something, dry runs included.
GROUPS: Mapping[str, tuple[EventKind, ...]] = MappingProxyType(
    {
        "changes": _named(
            "key.", "denial.", "exception.", "policy.", "config.", "approval.", "admin.called", "admin.token"
        ),
        "denials": (*_named("pull.denied", "blob.denied", "push.denied"), EventKind.PUSH_NOT_SIGNED),
    }
)
NO_DETAIL: Mapping[str, Any] = MappingProxyType({})


class Event(NamedTuple):
    """One row of the journal: time, kind, actor and how the name is proven, object, reason, revisions.

    A tuple, because every pull makes one: a frozen dataclass of so many fields takes three times as long to make.
    """

    at: datetime
    kind: EventKind
    who: str = "countersign"
    how: str = ""
    repository: str = ""
    reference: str = ""
    digest: str = ""
    reason: str = ""
    decision_id: str = ""
    request_id: str = ""
    policy_revision: str = ""
    key_revision: str = ""
    detail: Mapping[str, Any] = NO_DETAIL
