"""A wait has its end, and the next one its own, whatever became of the one before."""

from __future__ import annotations

import asyncio

from proxy.web.deadline import Deadline

SOON = 0.02


async def test_what_does_not_come_is_told_once() -> None:
    late = []
    wait = Deadline(asyncio.get_running_loop(), SOON, lambda: late.append(1))
    wait.start()
    assert wait.running
    await asyncio.sleep(3 * SOON)
    assert (late, wait.running) == ([1], False)


async def test_what_comes_in_time_is_not_told_and_what_is_waited_for_next_is() -> None:
    late = []
    wait = Deadline(asyncio.get_running_loop(), SOON, lambda: late.append(1))
    wait.start()
    wait.met()
    await asyncio.sleep(3 * SOON)
    assert late == []
    wait.start()
    await asyncio.sleep(3 * SOON)
    assert late == [1]


async def test_a_wait_that_began_while_an_older_timer_ran_has_its_whole_time() -> None:
    loop, late = asyncio.get_running_loop(), []
    wait = Deadline(loop, SOON, lambda: late.append(loop.time()))
    wait.start()
    await asyncio.sleep(SOON / 2)
    wait.met()
    began = loop.time()
    wait.start()
    await asyncio.sleep(4 * SOON)
    assert len(late) == 1
    assert late[0] >= began + SOON


async def test_a_closed_one_tells_nobody_and_keeps_nobody() -> None:
    late = []
    wait = Deadline(asyncio.get_running_loop(), SOON, lambda: late.append(1))
    wait.start()
    wait.close()
    await asyncio.sleep(3 * SOON)
    assert (late, wait.running) == ([], False)
