from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.registry.bodies import Kept

QUICK = Limits(kept_bytes=1000, kept_grace_s=0.05, kept_rate=1_000_000)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def never() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.Event().wait()


async def test_a_body_is_held_until_its_request_ends() -> None:
    kept = Kept(QUICK)
    with kept.room("a") as room:
        assert await room.whole(chunks(b"ab", b"c"), 3, 10, "body") == b"abc"
        assert kept.used == 3
    assert kept.used == 0


async def test_a_chunked_body_has_room_for_its_limit_and_keeps_what_it_is() -> None:
    kept = Kept(QUICK)
    with kept.room("a") as room:

        async def looking() -> AsyncIterator[bytes]:
            assert kept.used == 10
            yield b"abc"

        assert await room.whole(looking(), None, 10, "body") == b"abc"
        assert kept.used == 3


@pytest.mark.parametrize("length", [None, 5])
async def test_what_is_too_large_is_refused_and_given_back(length: int | None) -> None:
    kept = Kept(QUICK)
    with pytest.raises(Fault, match="form of") as told, kept.room("a") as room:
        await room.whole(chunks(b"abc", b"de"), length, 4, "form")
    assert (told.value.status, kept.used) == (413, 0)


async def test_more_than_was_announced_is_refused_and_not_made_up_with_zeros() -> None:
    kept = Kept(QUICK)
    with pytest.raises(Fault, match="body of more than 4 bytes") as told, kept.room("a") as room:
        await room.whole(chunks(b"abc", b"de"), 4, 10, "body")
    assert (told.value.status, kept.used) == (413, 0)


async def test_nothing_is_read_of_what_is_announced_as_too_large() -> None:
    read = []

    async def unread() -> AsyncIterator[bytes]:
        read.append(True)
        yield b""

    with Kept(QUICK).room("a") as room, pytest.raises(Fault, match="body of 11 bytes; the limit is 10"):
        await room.whole(unread(), 11, 10, "body")
    assert not read


async def test_no_body_is_no_bytes() -> None:
    with Kept(QUICK).room("a") as room:
        assert await room.whole(None, 0, 10, "body") == b""


async def test_a_body_that_never_ends_is_ended() -> None:
    kept = Kept(QUICK)
    with pytest.raises(Fault, match="did not arrive within") as told, kept.room("a") as room:
        await room.whole(never(), 10, 10, "body")
    assert (told.value.status, kept.used) == (408, 0)


def test_the_deadline_is_for_the_whole_body() -> None:
    kept = Kept(Limits())
    assert kept.deadline_s(0) == 10
    assert kept.deadline_s(4 * 1024 * 1024) == 74


async def test_who_finds_no_room_waits_for_it_before_a_byte_is_read() -> None:
    kept = Kept(Limits(kept_bytes=1000))
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"x"

    async def second() -> bytes:
        with kept.room(None) as room:
            return await room.whole(body(), 1, 10, "body")

    with kept.room(None) as first:
        await first.whole(chunks(b"x" * 1000), 1000, 1000, "body")
        waiting = asyncio.ensure_future(second())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not read
    assert await waiting == b"x"
    assert kept.used == 0


async def test_who_waits_in_vain_is_told_when_to_try_again() -> None:
    kept = Kept(QUICK)
    with kept.room(None) as first:
        await first.whole(chunks(b"x" * 1000), 1000, 1000, "body")
        with pytest.raises(Fault, match="too many bodies") as told, kept.room(None) as second:
            await second.whole(chunks(b"x"), 1, 10, "body")
        assert (told.value.status, told.value.headers["Retry-After"]) == (429, "5")
    assert kept.used == 0


async def test_one_holder_leaves_room_for_the_others() -> None:
    kept = Kept(QUICK)
    with kept.room("greedy") as greedy, kept.room("other") as other:
        for _ in range(6):
            await greedy.whole(chunks(b"x" * 125), 125, 125, "body")
        with pytest.raises(Fault, match="too many bodies"):
            await greedy.whole(chunks(b"x" * 125), 125, 125, "body")
        assert kept.used == 750
        assert await other.whole(chunks(b"y" * 125), 125, 125, "body")
    assert kept.used == 0


async def test_a_client_that_goes_away_gives_back_what_it_held() -> None:
    kept = Kept(QUICK)

    async def one() -> None:
        with kept.room("a") as room:
            await room.whole(never(), 10, 10, "body")

    going = asyncio.ensure_future(one())
    await asyncio.sleep(0.01)
    assert kept.used == 10
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert kept.used == 0


def resident() -> int:
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of this process from /proc")
async def test_bodies_that_were_announced_and_did_not_come_take_no_memory() -> None:
    kept, size, count = Kept(Limits(kept_bytes=128 * 1024 * 1024)), 60_000, 1500

    async def one() -> None:
        with kept.room(None) as room:
            await room.whole(never(), size, size, "form")

    before = resident()
    waiting = [asyncio.ensure_future(one()) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert kept.used == size * count
    assert resident() - before < size * count / 3
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert kept.used == 0
