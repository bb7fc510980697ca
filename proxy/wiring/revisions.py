"""The texts of what is in force, kept under their hashes."""

from __future__ import annotations

from proxy.config import Settings
from proxy.flows.house import Ports
from proxy.store import Store
from proxy.store.policy_book import POLICY
from proxy.trust.event import Event, EventKind
from proxy.wiring.policies import Taken


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
