"""Every repository of upstream, or an error: never a part that looks complete."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import ListRepositories
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading import catalog
from proxy.registry.reading.catalog import repositories_of
from proxy.registry.request import Request
from tests.worlds.conversation import world
from tests.worlds.registry import Said, Seen

OURS = Request(Credential(ours=True), "r")
NAMES = [f"team/app{n}" for n in range(7)]


async def test_all_pages_are_read_with_and_without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_PAGES", (3, 2))
    w = await world()
    for name in NAMES:
        w.registry.shelf(name)
    assert await repositories_of(OURS, w.ports) == tuple(NAMES)
    w.registry.lies.append(lambda _, said: replace(said, headers=tuple(h for h in said.headers if h[0] != "link")))
    assert await repositories_of(OURS, w.ports) == tuple(NAMES)


async def test_a_registry_that_refuses_large_pages_is_asked_for_smaller_ones() -> None:
    w = await world()
    w.registry.shelf("team/app")

    def few(seen: Seen) -> Said | None:
        large = isinstance(seen.operation, ListRepositories) and (seen.operation.n or 0) > 100
        return Said(400, ()) if large else None

    w.registry.hooks.append(few)
    assert await repositories_of(OURS, w.ports) == ("team/app",)


async def test_a_refusal_a_lie_and_too_much_are_errors() -> None:
    w = await world()
    for name in NAMES:
        w.registry.shelf(name)
    w.registry.fail(ListRepositories, 401)
    with pytest.raises(Fault, match="does not list its repositories to our account"):
        await repositories_of(OURS, w.ports)
    w.registry.fail(ListRepositories, 500)
    with pytest.raises(Unavailable, match="answered 500"):
        await repositories_of(OURS, w.ports)
    with pytest.raises(Fault, match="more than 5 repositories"):
        await repositories_of(OURS, replace(w.ports, limits=replace(w.ports.limits, tags_listed=5)))
    w.registry.hooks[:] = [lambda _: Said(200, (), b'{"names": []}')]
    with pytest.raises(Corrupt):
        await repositories_of(OURS, w.ports)
