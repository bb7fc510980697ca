"""The texts of what is in force, kept under their hashes."""

from __future__ import annotations

from proxy.config import Settings
from proxy.journal.event import Event, EventKind
from proxy.policies.in_force import Taken
from proxy.policies.store import POLICY
from proxy.registry.ports_in_use import Ports
from proxy.server.store import Store


async def keep_revisions(settings: Settings, taken: Taken, store: Store, ports: Ports) -> None:
    """Keep configuration and policies whole under their hashes, and note in the journal which are in force."""
    file, _ = taken
    await store.journal.keep_revision("config", settings.revision, settings.redacted_text())
    await store.journal.keep_revision(POLICY, file.policies.revision, file.canonical)
    now = ports.clock.now()
    await store.journal.record(
        Event(now, EventKind.CONFIG_LOADED, detail={"revision": settings.revision}),
        Event(now, EventKind.POLICY_LOADED, policy_revision=file.policies.revision),
    )
