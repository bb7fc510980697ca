"""Who wants something changed, and the row of the journal that says so of a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.journal.event import Event, EventKind
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Asker
from proxy.trust.keys import BookKey, fingerprint


def key_event(kind: EventKind, key: BookKey, asker: Asker, detail: Mapping[str, Any], ports: Ports) -> Event:
    """Return the row that says what this person has done to this key, under the key book as it is now."""
    return Event(
        at=ports.clock.now(),
        kind=kind,
        who=asker.who,
        how=asker.how,
        request_id=asker.request_id,
        key_revision=ports.keybook.ring().revision,
        detail={"profile": key.profile, "key": fingerprint(key.spki), **detail, "reason": asker.reason[:500]},
    )
