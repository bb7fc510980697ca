"""Slow clients, half requests, too many connections: bounded, and back to baseline afterwards (ATTACKS 28)."""

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

from proxy.registry.request import Response
from proxy.web.outermost import Edge
from tests.worlds.listener import QUICK, Recorder, Reply, everything, on_loopback, registry

INGRESS = [ip_network("127.0.0.0/8")]  # no share of its own: what is bounded here is all connections together
WHOLE = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"


def descriptors() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def closed_after(reader: asyncio.StreamReader) -> float:
    started = time.monotonic()
    await asyncio.wait_for(everything(reader), 5)
    return time.monotonic() - started


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with on_loopback(registry(Recorder())) as proxy:
        reader, writer = await proxy.open()
        assert 0.2 < await closed_after(reader) < 2
        writer.close()


async def test_a_header_that_drips_is_cut_at_the_deadline() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reader, writer = await proxy.open()

        async def drip() -> None:
            for byte in WHOLE:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        assert 0.2 < await closed_after(reader) < 2
        dripping.cancel()
        writer.close()
    assert flow.requests == []


async def test_a_second_header_that_drips_is_cut_too() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reader, writer = await proxy.open()
        writer.write(WHOLE)
        await reader.readuntil(b"{}")
        await asyncio.sleep(0.4)  # idle between requests is no header
        writer.write(b"GET /v2/ HT")
        assert 0.2 < await closed_after(reader) < 2
        writer.close()
    assert len(flow.requests) == 1


async def test_an_idle_connection_may_wait_longer_than_a_header() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reader, writer = await proxy.open()
        for _ in range(2):
            writer.write(WHOLE)
            await reader.readuntil(b"{}")
            await asyncio.sleep(0.5)
        writer.close()
    assert len(flow.requests) == 2


async def test_a_slow_answer_is_not_a_slow_client() -> None:
    async def slow(*_: object) -> Response:
        await asyncio.sleep(0.6)
        return Response(200, (), b"{}")

    async with on_loopback(registry(slow)) as proxy:
        assert (await proxy.get("/v2/")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_slower_than_the_header_deadline_but_never_silent_is_read() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reader, writer = await proxy.open()
        head = b"PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\n\r\n"
        writer.write(head)
        for byte in b"abcdef":
            await asyncio.sleep(0.1)
            writer.write(bytes([byte]))
        assert (await everything(reader)).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert flow.bodies == [b"abcdef"]


@dataclass
class Endless(Reply):
    """A blob without an end."""

    def stream(self) -> AsyncIterable[bytes]:
        return self._endless()

    async def _endless(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536


async def test_a_client_that_stops_reading_is_cut_and_upstream_let_go() -> None:
    upstream = Endless()
    flow = Recorder(Response(200, (), relayed=upstream))
    async with on_loopback(registry(flow)) as proxy:
        _, writer = await proxy.open()
        writer.write(b"GET /v2/app/blobs/sha256:" + b"a" * 64 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(100):
            await asyncio.sleep(0.05)
            if upstream.closed:
                break
        writer.close()
    assert upstream.closed


async def test_a_client_that_goes_away_lets_upstream_go() -> None:
    upstream = Endless()
    async with on_loopback(registry(Recorder(Response(200, (), relayed=upstream)))) as proxy:
        reader, writer = await proxy.open()
        writer.write(b"GET /v2/app/blobs/sha256:" + b"a" * 64 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.read(1000)
        writer.transport.abort()
        for _ in range(40):
            await asyncio.sleep(0.05)
            if upstream.closed:
                break
    assert upstream.closed


async def test_connections_beyond_the_bound_are_told_so_and_idle_ones_make_room() -> None:
    limits = replace(QUICK, connections=5, header_timeout_s=5.0)
    async with on_loopback(registry(Recorder()), Edge(limits, trusted=INGRESS)) as proxy:
        silent = [await proxy.open() for _ in range(5)]
        await asyncio.sleep(0.05)
        refused = await proxy.say(WHOLE)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in refused
        assert len(proxy.connections) == 5
        reader, writer = silent[0]
        writer.write(WHOLE)
        await reader.readuntil(b"{}")
        assert (await proxy.get("/v2/")).startswith(b"HTTP/1.1 200 ")
        assert await reader.read() == b""
        for _, each in silent:
            each.close()


async def test_a_thousand_half_requests_leave_nothing_behind() -> None:
    limits = replace(QUICK, connections=200)
    tasks = len(asyncio.all_tasks())
    async with on_loopback(registry(Recorder()), Edge(limits)) as proxy:
        before = descriptors()
        for _ in range(10):
            opened = [await proxy.open() for _ in range(100)]
            for _, writer in opened:
                writer.write(b"PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
            await asyncio.sleep(0)
            assert len(proxy.connections) <= 200
            for _, writer in opened:
                writer.transport.abort()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if len(proxy.connections) == 0 and descriptors() <= before:
                break
        assert len(proxy.connections) == 0
        assert descriptors() <= before
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) <= tasks
