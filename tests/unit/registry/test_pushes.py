from __future__ import annotations

import asyncio

from proxy.oci.limits import Limits
from proxy.oci.reference import digest_of
from proxy.registry.cache import Cache
from tests.worlds.conversation import REPO

PLACE = (REPO, digest_of(b"a"))


async def test_what_needs_no_push_under_way_waits_for_the_last_of_them_and_for_no_other_manifest() -> None:
    memory, done = Cache(Limits(), lambda: 0.0), list[str]()

    async def work() -> None:
        done.append("worked")

    with memory.pushes.under_way((REPO, digest_of(b"b"))):
        await memory.pushes.none_of(PLACE, work)
    assert done == ["worked"]
    with memory.pushes.under_way(PLACE):
        with memory.pushes.under_way(PLACE):
            waiting = asyncio.create_task(memory.pushes.none_of(PLACE, work))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == ["worked"]
    await waiting
    assert done == ["worked", "worked"]


async def test_a_push_that_begins_while_the_lock_is_waited_for_comes_first() -> None:
    memory, done = Cache(Limits(), lambda: 0.0), list[str]()

    async def work() -> None:
        done.append("worked")

    async with memory.lock(("sign", *PLACE)):
        waiting = asyncio.create_task(memory.pushes.none_of(PLACE, work))
        await asyncio.sleep(0)
        push = memory.pushes.under_way(PLACE)
        push.__enter__()
    async with memory.lock(("sign", *PLACE)):  # the push signs
        done.append("signed")
    push.__exit__(None, None, None)
    await waiting
    assert done == ["signed", "worked"]
