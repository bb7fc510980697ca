"""Places for layers on their way: shared out, waited for shortly, and taken from what hardly moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.registry.transfers import STEP, Transfer, Transfers
from tests.worlds.memory import FrozenClock

LIMIT = 16  # pressure above 12, a share is 2


class Hall:
    """Places for sixteen, a clock, and whom it was taken from."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.clock = FrozenClock()
        self.patience = Limits().transfer_patience_s
        limits = Limits(upstream_connections=LIMIT, transfer_wait_s=wait_s)
        self.transfers = Transfers(limits, self.clock.monotonic)
        self.cut: list[object] = []

    async def begin(self, holder: object) -> Transfer:
        transfer = await self.transfers.begin(holder, lambda: self.cut.append(holder))
        self.transfers.moves(transfer)
        return transfer

    async def full(self, holder: object) -> bool:
        """True where there is no place for this holder."""
        try:
            (await self.begin(holder)).end()
        except Fault as fault:
            assert (fault.code, fault.status, fault.headers["Retry-After"]) == ("TOOMANYREQUESTS", 429, "5")
            return True
        return False


async def body(chunks: int, size: int = STEP) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield bytes(size)


async def test_one_holder_has_all_there_are_until_they_get_few() -> None:
    hall = Hall()
    taken = [await hall.begin("nat") for _ in range(12)]
    assert await hall.full("nat")
    for other in ("a", "b"):
        assert not await hall.full(other)
    taken.pop().end()
    assert not await hall.full("nat")


async def test_nobody_is_served_beyond_the_limit() -> None:
    hall = Hall()
    taken = [await hall.begin(n // 2) for n in range(LIMIT)]
    assert await hall.full("late")
    assert await hall.full(None)
    for each in taken:
        each.end()
        each.end()  # once is as good as twice
    assert hall.transfers.used == 0


async def test_who_comes_late_gets_the_place_that_is_given_back() -> None:
    hall = Hall(wait_s=30)
    taken = [await hall.begin(n // 2) for n in range(LIMIT)]
    waiting = [asyncio.create_task(hall.begin(f"late {n}")) for n in range(3)]
    await asyncio.sleep(0)
    for each in taken[:3]:
        each.end()
    late = await asyncio.gather(*waiting)
    assert [t.holder for t in late] == ["late 0", "late 1", "late 2"]
    assert hall.transfers.used == LIMIT
    assert not hall.cut


async def test_a_place_that_was_waited_for_in_vain_is_nobodys() -> None:
    hall = Hall(wait_s=30)
    taken = [await hall.begin(n // 2) for n in range(LIMIT)]
    gone, told = asyncio.create_task(hall.begin("gone")), asyncio.create_task(hall.begin("told"))
    await asyncio.sleep(0)
    gone.cancel()
    taken[0].end()
    told.cancel()  # in the moment in which it was given a place
    for task in (gone, told):
        with pytest.raises(asyncio.CancelledError):
            await task
    for each in taken:
        each.end()
    assert hall.transfers.used == 0


async def test_what_hardly_moves_gives_way_and_nothing_else() -> None:
    hall = Hall()
    taken = [await hall.begin(n // 2) for n in range(LIMIT)]
    hall.clock.advance(hall.patience / 2)
    for each in taken[1:]:
        hall.transfers.moves(each)
    assert await hall.full("late")  # nobody stood still for long enough
    hall.clock.advance(hall.patience / 2)
    assert not await hall.full("late")
    assert hall.cut == [taken[0].holder]
    assert taken[0].over
    assert await hall.full("later") is False  # the place of who came late was given back


async def test_who_is_over_a_share_takes_nothing_from_others() -> None:
    hall = Hall()
    for n in range(12):
        await hall.begin("nat" if n < 6 else f"other {n}")
    hall.clock.advance(hall.patience * 3)
    assert not await hall.full("nat")
    assert hall.cut == ["nat"]


async def test_without_pressure_nobody_is_hurried() -> None:
    hall = Hall()
    for _ in range(10):
        await hall.begin("slow")
    hall.clock.advance(3600)
    for _ in range(2):
        await hall.begin("slow")
    assert not hall.cut


@pytest.mark.parametrize(("size", "moves"), [(STEP, 3), (STEP // 2, 1), (100, 0)])
async def test_a_trickle_is_no_movement(size: int, moves: int) -> None:
    hall = Hall()
    transfer = await hall.begin("a")
    times: set[float] = set()
    async for _ in transfer.watched(body(3, size)):
        times.add(transfer.moved_at)
        hall.clock.advance(1)
    times.add(transfer.moved_at)
    assert len(times) == 1 + moves


async def test_an_answer_that_has_not_begun_is_not_the_callers_doing() -> None:
    hall = Hall()
    for n in range(LIMIT):
        await hall.transfers.begin(n // 2, lambda: hall.cut.append("cut"))
    hall.clock.advance(hall.patience * 10)
    assert await hall.full("late")
    assert not hall.cut
