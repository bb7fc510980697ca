"""How long a push is when each thing takes one tick: what waits for something else, in a row. Time is virtual."""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.worlds.conversation import REPO, World, world
from tests.worlds.images import Image, image, index
from tests.worlds.registry import MemoryRegistry, Seen

WRITES = {"ledger": ("put", "advance"), "journal": ("record",), "facts": ("learn",), "tags": ("give_back",)}


class Skipping(selectors.SelectSelector):
    """Waits for nothing: time is taken forward instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready; else it is later."""
        ready = super().select(0)
        self.now += 0 if ready else timeout or 0
        return ready


class Late:
    """A port of which these calls take so long."""

    def __init__(self, port: object, names: tuple[str, ...], ticks: float) -> None:
        self._port, self._names, self._ticks = port, names, ticks

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        return self._late(call) if name in self._names else call

    def _late(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def late(*given: Any, **more: Any) -> Any:
            if given:  # with nothing to record there is no commit
                await asyncio.sleep(self._ticks)
            return await call(*given, **more)

        return late


def ticks(what: Image, *, referrers: bool, request: float = 0, commit: float = 0, sign: float = 0) -> float:
    """Push the children, then return how long pushing the manifest under a tag takes."""
    selector = Skipping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]

    async def pushed() -> float:
        w = await world(registry=MemoryRegistry(referrers=referrers))
        w.registry.single_post = False
        await w.push(image("first"), "team/app", "v0")
        for child in what.children:
            await w.push(child, "team/app")
        await w.ports.cache.settle()

        async def pause(_: Seen) -> None:
            await asyncio.sleep(request)

        w.registry.pause = pause
        ports: dict[str, Any] = {name: Late(getattr(w.ports, name), calls, commit) for name, calls in WRITES.items()}
        slow: World = replace(w, ports=replace(w.ports, signer=Late(w.signer, ("sign",), sign), **ports))
        began = loop.time()
        assert (await slow.push(replace(what, children=()), REPO, "v1")).status == 201
        return loop.time() - began

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return round(runner.run(pushed()), 6)


ONE = image("one")
WHOLE = index(*(image(f"child {n}") for n in range(12)))


@pytest.mark.parametrize(("what", "referrers", "most"), [(ONE, False, 9), (ONE, True, 7), (WHOLE, False, 19)])
def test_a_push_waited_for_every_request_in_turn(what: Image, referrers: bool, most: int) -> None:
    """With a token as slow as a request. The children of an index are written eight at a time."""
    assert ticks(what, referrers=referrers, request=1, sign=1) <= most


@pytest.mark.parametrize("referrers", [False, True])
@pytest.mark.parametrize("what", [ONE, WHOLE])
def test_a_push_waited_for_six_commits_and_two_for_each_child(what: Image, referrers: bool) -> None:
    """That the bundle is attached is recorded while the tag is written."""
    assert ticks(what, referrers=referrers, commit=1) == 4
    assert ticks(what, referrers=referrers, commit=1, request=1) <= ticks(what, referrers=referrers, request=1) + 3


def test_the_token_was_asked_for_one_child_after_the_other() -> None:
    """Fifteen signatures, four at a time."""
    assert ticks(WHOLE, referrers=True, sign=1) == 4


if __name__ == "__main__":
    for name, what in (("image", ONE), ("index of 12", WHOLE)):
        for referrers in (False, True):
            row = ticks(what, referrers=referrers, request=1, sign=1)
            ms = ticks(what, referrers=referrers, request=2, sign=2, commit=3)
            sys.stdout.write(f"{name}, {'' if referrers else 'no '}referrers API: {row:g} in a row, {ms:g} ms\n")
