"""Who wants something changed, and the row of the journal that says so of a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.flows.house import Ports
from proxy.trust.allotment import Rank
from proxy.trust.event import Event, EventKind
from proxy.trust.keys import BookKey, fingerprint


@dataclass(frozen=True)
class Asker:
    """Who wants it, how we know, why, in which request, and where they stand when it comes to what is kept for all."""

    who: str
    how: str
    reason: str
    request_id: str = ""
    rank: Rank = Rank.SCOPED


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
