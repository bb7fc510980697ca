"""Leases: one holder at a time, and a number that tells a sleeper from the holder of today."""

import asyncio
from datetime import timedelta

from tests.contract.conftest import Leases
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
    assert await leases.held("token_a session ") == {"token_a session 0": "a", "token_a session 1": "b"}
    clock.advance(11)
    assert await leases.held("token_a session ") == {"token_a session 0": "a"}
