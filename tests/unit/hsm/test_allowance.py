from __future__ import annotations

import asyncio

from hsm.allowance import SessionLimit


async def test_a_slot_beyond_is_told_to_finish_and_counts_until_it_has() -> None:
    allowance = SessionLimit(2)
    for slot in range(2):
        allowance.seat(slot)
    first, second = (allowance.until_over(slot) for slot in range(2))
    allowance.change(1)
    assert (first.done(), second.done()) == (False, True)
    assert allowance.used == 2
    waiting = asyncio.create_task(allowance.left(1))
    await asyncio.sleep(0)
    assert allowance.used == 1
    assert not waiting.done()
    allowance.change(2)
    await waiting
    assert allowance.permits(1)


async def test_a_slot_that_is_one_too_many_already_is_not_waited_with() -> None:
    allowance = SessionLimit(1)
    assert allowance.until_over(1).done()
    assert not allowance.until_over(0).done()
    await allowance.left(0)
    assert allowance.used == 0
