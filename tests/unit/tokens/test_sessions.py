"""Shares of a token's sessions, between processes that are objects here; real ones are in tests/faults."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hsm import Token
from proxy.oci.faults import Unavailable
from proxy.store.shared import Lease
from proxy.tokens.sessions import InUse, Sessions
from tests.worlds.memory import FrozenClock, MemoryLeases


class Slow:
    """A token that has what it is allowed, one `finish` later when that is less."""

    def __init__(self) -> None:
        self.used = self.allowed = 0

    def allow(self, sessions: int) -> None:
        self.allowed = sessions
        self.used = max(self.used, sessions)

    def finish(self) -> None:
        self.used = self.allowed


class Server:
    """One process: its share, and the token it uses."""

    def __init__(self, leases: MemoryLeases, clock: FrozenClock, total: int) -> None:
        self.share, self.use, self.token = Sessions(leases, "hsm", total, clock.monotonic), InUse(), Slow()
        self.use.token = cast("Token", self.token)

    async def step(self) -> None:
        await self.share.step(self.use)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def leases(clock: FrozenClock) -> MemoryLeases:
    return MemoryLeases(clock)


async def steps(clock: FrozenClock, *servers: Server, times: int = 20, total: int) -> list[int]:
    """The shares after some steps of everybody, at none of which there were more sessions than the total."""
    for _ in range(times):
        clock.advance(1)
        for server in servers:
            await server.step()
            assert sum(s.token.used for s in servers) <= total
            server.token.finish()
    return [server.token.used for server in servers]


async def test_alone_it_has_them_all(leases: MemoryLeases, clock: FrozenClock) -> None:
    assert await steps(clock, Server(leases, clock, 4), total=4) == [4]


@pytest.mark.parametrize(("total", "servers"), [(4, 2), (5, 2), (2, 2), (7, 3), (3, 3)])
async def test_who_comes_later_gets_its_share(
    leases: MemoryLeases, clock: FrozenClock, total: int, servers: int
) -> None:
    there: list[Server] = []
    for _ in range(servers):
        there.append(Server(leases, clock, total))
        shares = await steps(clock, *there, times=40, total=total)
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


async def test_a_session_is_free_only_after_its_holder_has_logged_out(leases: MemoryLeases, clock: FrozenClock) -> None:
    first, second = Server(leases, clock, 2), Server(leases, clock, 2)
    await steps(clock, first, total=2)
    for _ in range(30):
        clock.advance(1)
        await second.step()
        await first.step()
    assert (first.token.allowed, first.token.used, second.token.used) == (1, 2, 0)
    first.token.finish()
    await first.step()
    await second.step()
    assert (first.token.used, second.token.used) == (1, 1)


async def test_what_a_killed_process_held_is_free_when_it_has_run_out(leases: MemoryLeases, clock: FrozenClock) -> None:
    killed, other = Server(leases, clock, 2), Server(leases, clock, 2)
    await steps(clock, killed, total=2)
    with pytest.raises(Unavailable, match="other servers have all 2 sessions of token hsm"):
        await other.share.first(other.use, 0)
    clock.advance(13)
    assert await steps(clock, other, total=2) == [2]


async def test_what_is_given_back_is_free_at_once(leases: MemoryLeases, clock: FrozenClock) -> None:
    gone, other = Server(leases, clock, 2), Server(leases, clock, 2)
    await steps(clock, gone, total=2)
    await gone.share.leave()
    await other.share.first(other.use, 0)
    assert len(other.share) == 1


class Away(MemoryLeases):
    """A store that does not answer any more."""

    away = False

    async def holders(self, prefix: str) -> dict[str, str]:
        if self.away:
            raise Unavailable("the store is away")
        return await super().holders(prefix)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        if self.away:
            raise Unavailable("the store is away")
        return await super().renew(lease, seconds)


async def test_without_a_word_from_the_store_it_logs_out_before_others_log_in(clock: FrozenClock) -> None:
    leases = Away(clock)
    server = Server(leases, clock, 2)
    await steps(clock, server, total=2)
    leases.away = True
    for waited in range(12):
        with pytest.raises(Unavailable):
            await server.step()
        server.token.finish()
        assert server.token.used == (2 if waited < 3 else server.token.used)
        clock.advance(1)
    assert server.token.used == 0
    leases.away = False
    assert await steps(clock, server, total=2) == [2]


async def test_another_token_in_its_place_has_what_the_one_before_leaves(
    leases: MemoryLeases, clock: FrozenClock
) -> None:
    server, fresh = Server(leases, clock, 3), Slow()
    await steps(clock, server, total=3)
    old = server.use.replaced(cast("Token", fresh))
    server.token.allowed = server.token.used = 2
    server.use.allow(3)
    assert (fresh.used, server.use.used) == (1, 3)
    assert old is not None
    server.use.closed(old)
    server.use.allow(3)
    assert fresh.used == 3


async def test_room_for_another_token_is_made_once_however_often_it_is_refused(
    leases: MemoryLeases, clock: FrozenClock
) -> None:
    server = Server(leases, clock, 3)
    await steps(clock, server, total=3)
    for _ in range(3):
        making = asyncio.create_task(server.use.make_room(3))
        await asyncio.sleep(0)
        server.token.finish()
        await making
        await server.step()
        assert server.token.allowed == 2
    server.use.replaced(cast("Token", Slow()))
    await Server(leases, clock, 1).use.make_room(1)  # the only one there is stays
