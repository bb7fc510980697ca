"""Reads the server's record directly from its store, for commands while no server runs."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.config import Settings
from proxy.journal.port import Search
from proxy.oci.duration import since_when
from proxy.oci.faults import ConfigError, Fault, Unavailable
from proxy.oci.image_name import parse_name
from proxy.server.desk import warned
from proxy.server.store import Store, open_store
from proxy.store.clock import SystemClock
from proxy.trust.decision import Decision
from proxy.trust.explain import as_json, text

_NEWEST = 200  # events of a repository that are searched for a reference


def recorded_decision(settings: Settings, question: str) -> dict[str, Any] | None:
    """Return the decision with that id, or the newest recorded decision on that name; None without a record."""
    return asyncio.run(_decision(settings, question))


def recorded_would_block(settings: Settings, since: str) -> dict[str, Any] | None:
    """Return the pulls that warn mode allowed since then; None without a record. Raises Fault for a wrong span."""
    return asyncio.run(_would_block(settings, since))


async def _opened(settings: Settings) -> Store | None:
    try:
        return await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
    except (ConfigError, Unavailable):
        return None


async def _decision(settings: Settings, question: str) -> dict[str, Any] | None:
    store = await _opened(settings)
    if store is None:
        return None
    try:
        found = await _by_id(store, question) or await _by_name(store, question, settings.server.hosts)
    finally:
        await store.close()
    if found is None:
        return None
    return {**as_json(found), "text": text(found, settings.server.name, settings.server.url)}


async def _by_id(store: Store, question: str) -> Decision | None:
    return None if "/" in question or ":" in question else await store.journal.decision(question)


async def _by_name(store: Store, question: str, hosts: tuple[str, ...]) -> Decision | None:
    try:
        name = parse_name(question, hosts)
    except Fault:
        return None
    for event in await store.journal.search(Search(repository=name.repository, limit=_NEWEST)):
        if event.decision_id and name.reference in {event.reference, event.digest}:
            return await store.journal.decision(event.decision_id)
    return None


async def _would_block(settings: Settings, since: str) -> dict[str, Any] | None:
    store = await _opened(settings)
    if store is None:
        return None
    try:
        start = since_when(since, SystemClock().now())
        return warned(start, await store.journal.would_block(start))
    finally:
        await store.close()
