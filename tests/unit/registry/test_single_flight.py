from __future__ import annotations

import asyncio

import pytest

from proxy.registry.single_flight import SingleFlight


async def test_work_is_done_once_while_it_runs_and_again_afterwards() -> None:
    once: SingleFlight[int] = SingleFlight()
    done = 0

    async def work() -> int:
        nonlocal done
        await asyncio.sleep(0)
        done += 1
        return done

    assert await asyncio.gather(*(once.do("a", work) for _ in range(10))) == [1] * 10
    assert list(await asyncio.gather(once.do("a", work), once.do("b", work))) == [2, 3]


async def test_a_failure_reaches_everybody_and_is_not_kept() -> None:
    once: SingleFlight[int] = SingleFlight()

    async def fails() -> int:
        raise ValueError("no")

    async def works() -> int:
        return 1

    results = await asyncio.gather(*(once.do("a", fails) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3
    assert await once.do("a", works) == 1


async def test_one_who_goes_away_leaves_the_work_to_the_others() -> None:
    once: SingleFlight[str] = SingleFlight()
    gate = asyncio.Event()

    async def work() -> str:
        await gate.wait()
        return "done"

    first, second = (asyncio.create_task(once.do("a", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    assert await second == "done"


async def test_a_failure_that_nobody_waits_for_is_not_an_error() -> None:
    once: SingleFlight[str] = SingleFlight()
    gate = asyncio.Event()

    async def work() -> str:
        await gate.wait()
        raise ValueError("no")

    only = asyncio.create_task(once.do("a", work))
    await asyncio.sleep(0)
    only.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await only
    await asyncio.sleep(0)
