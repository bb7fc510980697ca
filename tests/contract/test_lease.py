"""Leases: one holder at a time, and a number that tells a sleeper from the holder of today."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest

from proxy.oci.faults import Unavailable
from proxy.store import shared
from proxy.store.shared import HELD_S, Lease, Leases
from tests.worlds.memory import FrozenClock


async def test_one_holder_at_a_time(leases: Leases, clock: FrozenClock) -> None:
    first = await leases.acquire("sweep", "a", 30)
    assert first is not None
    assert await leases.acquire("sweep", "b", 30) is None
    assert await leases.acquire("rotate", "b", 30) is not None
    clock.advance(31)
    second = await leases.acquire("sweep", "b", 30)
    assert second is not None
    assert second.fence > first.fence


async def test_a_lease_from_before_the_clock_was_put_back_holds_up_nobody(leases: Leases, clock: FrozenClock) -> None:
    first = await leases.acquire("sweep", "a", 30)
    assert first is not None
    clock.advance(-20)
    assert await leases.acquire("sweep", "b", 30) is None, "clocks of two servers may differ by so much"
    clock.advance(-3600)
    second = await leases.acquire("sweep", "b", 30)
    assert second is not None
    assert second.fence > first.fence
    assert await leases.renew(first, 30) is None


async def test_the_same_holder_gets_it_again_with_a_new_fence(leases: Leases) -> None:
    first = await leases.acquire("sweep", "a", 30)
    again = await leases.acquire("sweep", "a", 30)
    assert first is not None
    assert again is not None
    assert again.fence > first.fence
    assert await leases.renew(first, 30) is None


async def test_renewing_keeps_it(leases: Leases, clock: FrozenClock) -> None:
    lease = await leases.acquire("sweep", "a", 30)
    assert lease is not None
    clock.advance(20)
    renewed = await leases.renew(lease, 30)
    assert renewed is not None
    assert (renewed.fence, renewed.until) == (lease.fence, clock.now() + timedelta(seconds=30))
    clock.advance(20)
    assert await leases.acquire("sweep", "b", 30) is None


async def test_what_ran_out_or_was_taken_cannot_be_renewed(leases: Leases, clock: FrozenClock) -> None:
    lease = await leases.acquire("sweep", "a", 30)
    assert lease is not None
    clock.advance(30)
    assert await leases.renew(lease, 30) is None
    taken = await leases.acquire("sweep", "b", 30)
    assert await leases.renew(lease, 30) is None
    await leases.release(lease)
    assert taken is not None
    assert await leases.renew(taken, 30) is not None


async def test_released_it_is_free_at_once_and_the_fence_goes_on(leases: Leases) -> None:
    lease = await leases.acquire("sweep", "a", 30)
    assert lease is not None
    await leases.release(lease)
    other = await leases.acquire("sweep", "b", 30)
    assert other is not None
    assert other.fence > lease.fence


async def test_of_many_at_once_one_gets_it(leases: Leases) -> None:
    got = await asyncio.gather(*(leases.acquire("sweep", f"holder {n}", 30) for n in range(20)))
    assert len([lease for lease in got if lease is not None]) == 1


async def test_who_holds_what_is_told_by_the_beginning_of_its_name(leases: Leases, clock: FrozenClock) -> None:
    await leases.acquire("token_a session 0", "a", 30)
    short = await leases.acquire("token_a session 1", "b", 10)
    await leases.acquire("tokenXa session 0", "c", 30)
    assert short is not None
    assert await leases.holders("token_a session ") == {"token_a session 0": "a", "token_a session 1": "b"}
    clock.advance(11)
    assert await leases.holders("token_a session ") == {"token_a session 0": "a"}


async def test_held_for_a_block_nobody_else_has_it_until_the_end(leases: Leases) -> None:
    async with leases.held("sweep") as first:
        assert first is not None
        async with leases.held("sweep") as second:
            assert second is None
        assert await leases.acquire("sweep", "another", HELD_S) is None
        assert not first.is_set()
    assert await leases.acquire("sweep", "another", HELD_S) is not None
    async with leases.held("sweep") as third:
        assert third is None


async def test_it_is_given_back_whatever_happens_in_the_block(leases: Leases) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with leases.held("sweep"):
            raise ValueError("mine")
    assert await leases.acquire("sweep", "another", HELD_S) is not None


class Counted:
    """Leases that count how often they were renewed."""

    def __init__(self, leases: Leases) -> None:
        self.acquire, self.release, self._leases = leases.acquire, leases.release, leases
        self.renewed = asyncio.Semaphore(0)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        held = await self._leases.renew(lease, seconds)
        self.renewed.release()
        return held


async def test_it_is_renewed_while_the_block_runs(
    leases: Leases, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RENEW_S", 0.001)
    counted = Counted(leases)
    async with shared.hold(cast("Leases", counted), "sweep", set(), sole=False) as lost:
        assert lost is not None
        for _ in range(4):
            clock.advance(HELD_S / 2)
            while not counted.renewed.locked():  # those from before
                await counted.renewed.acquire()
            for _ in range(2):
                await asyncio.wait_for(counted.renewed.acquire(), 5)
        assert await leases.acquire("sweep", "another", HELD_S) is None
        assert not lost.is_set()


async def test_a_block_is_told_that_another_has_it(
    leases: Leases, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RENEW_S", 0.001)
    async with leases.held("sweep") as lost:
        assert lost is not None
        clock.advance(HELD_S)
        await asyncio.wait_for(lost.wait(), 5)
    assert await leases.acquire("sweep", "another", HELD_S) is not None


class Away:
    """Leases that cannot be renewed: the store does not answer, at once or at all."""

    def __init__(self, leases: Leases, silent: float) -> None:
        self.acquire, self.release, self.silent = leases.acquire, leases.release, silent

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        await asyncio.sleep(self.silent)
        raise Unavailable("the store is away")


@pytest.mark.parametrize("silent", [0, 60])
async def test_a_block_is_told_before_another_may_have_it(
    leases: Leases, silent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RENEW_S", 0.01)
    monkeypatch.setattr(shared, "HELD_S", 0.1)
    async with shared.hold(cast("Leases", Away(leases, silent)), "sweep", set(), sole=False) as lost:
        assert lost is not None
        await asyncio.wait_for(lost.wait(), 5)
