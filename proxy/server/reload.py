"""Settings that a reload can change, and those that need a restart; the record of the revisions in force."""

from __future__ import annotations

import json

from proxy.config import Settings
from proxy.config.yaml import leaves, render_where
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import ConfigError
from proxy.policies.in_force import Taken
from proxy.policies.store import POLICY
from proxy.registry.ports_in_use import Ports
from proxy.server.store import Store

RESTART = "restart of countersign serve"


def only_changeable(before: Settings, after: Settings) -> None:
    """Refuse changes that need a restart, instead of silently ignoring them. Raises ConfigError."""
    pairs = {
        "server.listen": (before.server.listen, after.server.listen),
        "server.tls": (before.server.tls, after.server.tls),
        "server.trusted_proxies": (before.server.trusted_proxies, after.server.trusted_proxies),
        "admin.listen": (before.admin.listen, after.admin.listen),
        "admin.tls": (before.admin.tls, after.admin.tls),
        "admin.client_ca": (before.admin.client_ca, after.admin.client_ca),
        "upstreams": (before.upstream, after.upstream),
        "store.url": (before.store.url, after.store.url),
        "tokens": (set(before.tokens), set(after.tokens)),
        "keys": (_lasting(before), _lasting(after)),
        "outbound": (before.file.outbound, after.file.outbound),
        "timestamps": (before.file.timestamps, after.file.timestamps),
        "limits": (before.limits, after.limits),
    }
    changed = [name for name, (old, new) in pairs.items() if old != new]
    if changed:
        raise ConfigError(f"{after.path}: {', '.join(changed)} changed; that needs a {RESTART}")


def different(before: Settings, after: Settings) -> tuple[str, ...]:
    """Return the settings that differ, as the file has them; the contents of files that it names are not compared."""
    old, new = (dict(leaves(json.loads(each.redacted_text()))) for each in (before, after))
    changed = (where for where in {**old, **new} if where not in old or where not in new or old[where] != new[where])
    return tuple(map(render_where, changed))


def _lasting(settings: Settings) -> dict[str, tuple[object, ...]]:
    """Return each key profile's tokens, label and purpose. The settings of its next key may change on reload."""
    return {name: (entry.tokens, entry.label, entry.purpose) for name, entry in settings.keys.items()}


async def keep_revisions(settings: Settings, taken: Taken, store: Store, ports: Ports) -> None:
    """Store the full configuration and policies under their hashes; record in the journal which are in force."""
    file, _ = taken
    await store.journal.keep_revision("config", settings.revision, settings.redacted_text())
    await store.journal.keep_revision(POLICY, file.policies.revision, file.canonical)
    now = ports.clock.now()
    await store.journal.record(
        Event(now, EventKind.CONFIG_LOADED, detail={"revision": settings.revision}),
        Event(now, EventKind.POLICY_LOADED, policy_revision=file.policies.revision),
    )
