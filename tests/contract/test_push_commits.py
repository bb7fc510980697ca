"""What a push costs the store, in commits: the row of its tag costs none on SQLite, and one on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from proxy.oci.reference import parse_tag
from proxy.registry.cache import Cache
from proxy.server.store import Store
from proxy.store import database
from tests.contract.conftest import AnyStore
from tests.worlds.conversation import REPO, World, world
from tests.worlds.images import image, index
from tests.worlds.registry import MemoryRegistry


async def on(store: Store, w: World) -> World:
    """The same proxy on this store."""
    for key in w.store.keybook.ring().ours:
        await store.keybook.add(key)
    ports: dict[str, Any] = {
        name: getattr(store, name)
        for name in ("ledger", "facts", "tags", "journal", "keybook", "overrides", "unsigned")
        if hasattr(store, name)
    }
    return replace(w, ports=replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic), **ports))


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each commit."""
    made: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def one(*args: Any, **more: Any) -> Any:
            works = [getattr(work, "func", work).__name__ for work in args[1]] if name == "write" else []
            if works != ["_renew"]:  # a hold is renewed by the clock
                made.append(name)
            return await call(*args, **more)

        return one

    monkeypatch.setattr(database, "_transact", counted("write", database._transact))
    monkeypatch.setattr(database.Database, "at_once", counted("take", database.Database.at_once))
    return made


@pytest.mark.parametrize("referrers", [True, False])
async def test_the_row_of_a_tag_rides_in_the_commits_of_its_push(
    store: AnyStore, commits: list[str], referrers: bool
) -> None:
    if not isinstance(store, Store):
        pytest.skip("memory commits nothing")
    w = await on(store, await world(registry=MemoryRegistry(referrers=referrers)))
    await w.push(image("first"), "team/app", "v0")
    del commits[:]
    one = image("one")
    await w.push(one, "team/app", "v1")
    writes, takes = commits.count("write"), commits.count("take")
    assert writes == 4, "intents; signatures; the bundle is attached, beside the tag; the tag has moved: it was six"
    assert takes == (0 if store.sole else 1)
    assert (await store.tags.find(REPO, [parse_tag("v1")]))[parse_tag("v1")].digest == one.digest
    del commits[:]
    await w.push(one, "team/app", "v1")
    assert (commits.count("write"), commits.count("take")) == (1, 0 if store.sole else 1)


@pytest.mark.parametrize("children", [2, 12])
async def test_every_child_of_an_index_cost_commits_of_its_own(
    store: AnyStore, commits: list[str], children: int
) -> None:
    """Whatever it lists: intents; signatures; the bundle is attached, beside the tag; the tag and all children."""
    if not isinstance(store, Store):
        pytest.skip("memory commits nothing")
    w = await on(store, await world())
    all_of_them = index(*(image(f"child {n}") for n in range(children)))
    for child in all_of_them.children:
        await w.push(child, "team/app")
    del commits[:]
    await w.push(replace(all_of_them, children=()), "team/app", "v1")
    assert commits.count("write") == 4


async def test_a_manifest_without_a_tag_cost_five_commits(store: AnyStore, commits: list[str]) -> None:
    if not isinstance(store, Store):
        pytest.skip("memory commits nothing")
    w = await on(store, await world())
    await w.push(image("first"), "team/app")
    del commits[:]
    await w.push(image("child"), "team/app")
    assert commits.count("write") == 3, "intents; signatures; what was attached and accepted"
