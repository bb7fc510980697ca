"""What a warm pull asks the store: nothing. Its row is counted, and written with those of others."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.journal.port import Search
from proxy.server.store import Store
from proxy.store import database
from tests.contract.conftest import AnyStore
from tests.contract.test_push_commits import on
from tests.worlds.conversation import world
from tests.worlds.images import image

PULLS = 200


async def test_warm_pulls_ask_the_store_nothing_and_each_of_them_is_counted(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(store, Store):
        pytest.skip("memory is asked nothing")
    w = await on(store, await world())
    one = image("one")
    await w.push(one, "team/app", "v1")
    for reference in ("v1", one.digest):
        await w.pull("team/app", reference)
    await w.ports.cache.settle()
    await store.journal.flush()
    monkeypatch.setattr(store.journal, "_flush_after", 3600)
    asked: list[Any] = []
    read, transact = database.Database.read, database._transact

    async def reading(*args: Any, **more: Any) -> Any:
        asked.append(args)
        return await read(*args, **more)

    async def writing(*args: Any, **more: Any) -> Any:
        asked.append(args)
        return await transact(*args, **more)

    monkeypatch.setattr(database.Database, "read", reading)
    monkeypatch.setattr(database, "_transact", writing)
    for n in range(PULLS):
        answer = await w.pull("team/app", "v1" if n % 2 else one.digest)
        assert answer.body == one.body
    assert asked == []
    rows = await store.journal.search(Search(kinds=(EventKind.PULL_ALLOWED,), digest=one.digest))
    assert sum(row.detail.get("count", 1) for row in rows) == PULLS + 2
