"""Evidence about a key: what its token reports now and the journal rows of its life, signed by the key itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy import version
from proxy.formats.key_evidence import CHECK, text_of
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.keys.lifecycle import find
from proxy.oci.faults import Conflict, NotFound
from proxy.registry.ports_in_use import Ports
from proxy.tokens.inventory_port import TokenInventory
from proxy.trust.keys import BookKey

ROWS = 20_000  # most journal rows searched
_ABOUT_KEYS = tuple(kind for kind in EventKind if kind.value.startswith(("key.", "approval.")))


@dataclass(frozen=True)
class Evidence:
    """The text, which is `key_evidence.text_of(document)`, and the key's signature over it."""

    key: BookKey
    text: bytes
    signature: bytes


async def evidence(key: str, ports: Ports, tokens: TokenInventory) -> Evidence:
    """Return the evidence about the key, signed by it in any state. Raises Fault (not on its token), Unavailable."""
    known = find(key, ports)
    held = next((each for each in await tokens.held(known.token) if each.spki == known.spki), None)
    if held is None:
        raise NotFound(
            f"token {known.token} does not hold key {known.short}, so it proves nothing about it now; "
            "see what happened to keys: countersign journal --kind key.state"
        )
    facts, rows = await tokens.facts(known.token), await _rows(known, ports)
    document = {
        "at": ports.clock.now().isoformat(),
        "by": f"countersign {version()}",
        "server": ports.name,
        "check": list(CHECK),
        "key": {
            "profile": known.profile,
            "fingerprint": known.fingerprint,
            "spki": known.spki.hex(),
            "algorithm": known.algorithm,
            "state": known.state.value,
            "since": known.since.isoformat(),
            "label": held.label,
            "id": held.key_id,
            "backup_at": None if known.backup_at is None else known.backup_at.isoformat(),
            "recorded_token_serial": known.token_serial,
        },
        "attributes": dict(held.attributes),
        "token": {
            "name": known.token,
            "label": facts.label,
            "serial": facts.serial,
            "model": facts.model,
            "manufacturer": facts.manufacturer,
            "firmware": facts.firmware,
            "mechanisms": list(facts.mechanisms),
        },
        "journal": [_row(event) for event in rows],
    }
    text = text_of(document)
    return Evidence(known, text, await tokens.attest(known, text))


async def _rows(key: BookKey, ports: Ports) -> list[Event]:
    """Return the journal rows about the key and its approvals, oldest first.

    An approved call keeps the request id of the original request, which connects the rows. Raises Conflict if the
    journal is too long to search.
    """
    name = key.fingerprint
    rows = await ports.journal.search(Search(kinds=_ABOUT_KEYS, limit=ROWS + 1, oldest_first=True))
    if len(rows) <= ROWS:
        requests = {event.request_id for event in rows if event.detail.get("key") == name} - {""}
        return [e for e in rows if e.detail.get("key") == name or _agreed(e, requests)]
    raise Conflict(
        f"the journal has more than {ROWS} rows about keys, too many to search for one key; list what happened to keys "
        "with: countersign journal --kind key.state"
    )


def _agreed(event: Event, requests: set[str]) -> bool:
    return event.kind.value.startswith("approval.") and event.request_id in requests


def _row(event: Event) -> dict[str, Any]:
    return {
        "at": event.at.isoformat(),
        "kind": event.kind.value,
        "who": event.who,
        "how": event.how,
        "request_id": event.request_id,
        "detail": dict(event.detail),
    }
