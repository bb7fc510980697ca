"""Answers of commands from the server's record in its store, while no server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from proxy.config import Settings, load
from proxy.journal.port import Search
from proxy.oci.faults import ConfigError, Fault, Unavailable
from proxy.oci.image_name import parse_name
from proxy.server.image_operations import shown
from proxy.server.journal_operations import SPAN, JournalPage, rows_of, warned
from proxy.server.store import Store, open_store
from proxy.store.clock import SystemClock
from proxy.trust.decision import Decision

ROWS = 1000  # rows read at once
_NEWEST = 200  # events of a repository that are searched for a reference
Answer = dict[str, Any] | None  # None: there is no record, or nothing in it
Read = Callable[[Store, Settings], Awaitable[BaseModel | None]]


def why(config: Path, typed: Mapping[str, Any], _away: str) -> Answer:
    """Return the decision with that id, or the newest recorded decision on that name."""

    async def read(store: Store, settings: Settings) -> BaseModel | None:
        server, question = settings.server, typed["question"]
        found = await _by_id(store, question) or await _by_name(store, question, server.hosts)
        return None if found is None else shown(found, server.name, server.url)

    return _answered(config, read)


def would_block(config: Path, typed: Mapping[str, Any], _away: str) -> Answer:
    """Return the pulls that warn mode allowed since then; without a server, none is judged again."""

    async def read(store: Store, _settings: Settings) -> BaseModel:
        since = datetime.fromisoformat(typed["since"]) if typed["since"] else SystemClock().now() - SPAN
        return warned(since, await store.journal.would_block(since), (), "no server answers")

    return _answered(config, read)


def journal(config: Path, typed: Mapping[str, Any], _away: str) -> Answer:
    """Return these rows of the journal, newest first."""

    async def read(store: Store, _settings: Settings) -> BaseModel:
        wanted = {name: value for name, value in typed.items() if value and name != "limit"}
        page = JournalPage.model_validate_strings(wanted | {"limit": str(min(typed["limit"], ROWS))})
        rows = await rows_of(page, store.journal)
        items = rows.items
        while rows.next and len(items) < typed["limit"] and rows.items:
            rows = await rows_of(page.model_copy(update={"cursor": rows.next}), store.journal)
            items += rows.items
        return rows.model_copy(update={"items": items[: typed["limit"]]})

    return _answered(config, read)


def _answered(config: Path, read: Read) -> Answer:
    async def answer() -> Answer:
        settings = load(config)
        try:
            store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
        except (ConfigError, Unavailable):
            return None
        try:
            found = await read(store, settings)
        finally:
            await store.close()
        return None if found is None else found.model_dump(mode="json")

    return asyncio.run(answer())


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
