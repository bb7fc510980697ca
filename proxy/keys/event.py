"""Who wants something changed, and the row of the journal that says so of a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.journal.event import Event, EventKind
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, fingerprint


def key_event(kind: EventKind, key: BookKey, actor: Actor, detail: Mapping[str, Any], ports: Ports) -> Event:
    """Return the row that says what this person has done to this key, under the key book as it is now."""
    return Event(
        at=ports.clock.now(),
        kind=kind,
        who=actor.who,
        how=actor.how,
        request_id=actor.request_id,
        key_revision=ports.keybook.ring().revision,
        detail={"profile": key.profile, "key": fingerprint(key.spki), **detail, "reason": actor.reason[:500]},
    )
