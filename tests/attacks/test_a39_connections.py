"""ATTACK 39, 41: what a connection may send unasked, and how many one address may have, is bounded and shared out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from proxy.oci.limits import Limits
from proxy.oci.operation import Operation
from proxy.oci.shares import network_of
from proxy.registry.request import Request, Response
from proxy.web.call import small_body
from proxy.web.connections import LITTLE, Connections, Guarded
from proxy.web.outermost import Edge, Inner, outermost
from proxy.web.speaker import FIELDS
from tests.worlds.listener import (
    QUICK,
    Recorder,
    Spoken,
    Wire,
    body_of,
    everything,
    head_of,
    in_memory,
    on_loopback,
    registry,
)

LONG = replace(QUICK, header_timeout_s=30.0, body_idle_s=30.0)
WHOLE = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW_FORM = (
    b"POST /-/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 60000\r\n\r\na"
)
INGRESS = [ip_network("127.0.0.0/8")]


def said(reply: bytes) -> tuple[int, str]:
    line, _ = head_of(reply)
    return int(line.split()[1]), json.loads(body_of(reply))["errors"][0]["message"]


# Headers


def request(*fields: tuple[str, int], target: str = "/v2/") -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: a", "Connection: close", *(f"{n}: {'x' * size}" for n, size in fields)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "status", "tells"),
    [
        ([("Authorization", 60_000)], 200, ""),
        ([("Authorization", 70_000)], 431, "Authorization headers of 70000 bytes; at most 65536 are read"),
        ([("Accept", 4_000)], 200, ""),
        ([("Accept", 3_000), ("Accept", 3_000)], 431, "Accept headers of 6000 bytes; at most 4096 are read"),
        ([("X-Any", 90_000)], 200, ""),
        ([("X-Any", 100_000)], 431, "98304 bytes in all"),
        ([(f"X-{n}", 900) for n in range(100)], 200, ""),
        ([(f"X-{n}", 900) for n in range(120)], 431, "98304 bytes in all"),
        ([(f"X-{n}", 1) for n in range(FIELDS)], 431, f"more than {FIELDS} header fields"),
        ([("X" * 100_000, 1)], 431, "98304 bytes in all"),
        ([("Accept", 8_000)] * 110, 431, "98304 bytes in all"),
    ],
)
async def test_a_header_has_a_size_and_who_sends_more_is_told_how_much(
    fields: list[tuple[str, int]], status: int, tells: str
) -> None:
    async with on_loopback(registry(Recorder()), Edge(LONG)) as proxy:
        reply = await proxy.say(request(*fields))
    assert int(head_of(reply)[0].split()[1]) == status
    assert tells in reply.decode()


async def test_a_target_as_long_as_a_header_may_be_is_read() -> None:
    async with on_loopback(registry(Recorder()), Edge(LONG)) as proxy:
        reply = await proxy.say(request(target="/v2/?" + "a" * 60_000))
        assert said(reply)[0] == 400  # by us, with a text that says what is too long
        assert "at most 8192" in said(reply)[1]
        assert said(await proxy.say(request(target="/v2/?" + "a" * 100_000)))[0] == 431


async def test_headers_that_never_end_are_bounded_for_all_connections_together() -> None:
    limits = replace(LONG, waiting_bytes=100_000)
    async with on_loopback(registry(Recorder()), Edge(limits)) as proxy:
        opened = [await proxy.open() for _ in range(20)]
        for _, writer in opened:
            writer.write(b"GET /v2/ HTTP/1.1\r\nX: " + b"x" * 9_980)
            await asyncio.sleep(0.01)
        assert proxy.connections.headers.used <= 75_000 + LITTLE
        refused = await everything(opened[-1][0])
        assert said(refused)[0] == 503
        assert b"Retry-After" in refused
        for _, writer in opened:
            writer.close()
        await gone(proxy)
        assert proxy.connections.headers.used == 0


async def gone(proxy: Spoken) -> None:
    async with asyncio.timeout(5):
        while len(proxy.connections):  # noqa: ASYNC110  a listener has no event for it
            await asyncio.sleep(0.01)


# Pipelining


@asynccontextmanager
async def slow(answered: asyncio.Event) -> AsyncIterator[Inner]:
    async def answer(*_: object) -> Response:
        await answered.wait()
        return Response(200, (), b"{}")

    yield registry(answer)


async def test_requests_behind_one_that_is_being_answered_wait_unparsed() -> None:
    answered, flow = asyncio.Event(), Recorder()

    async def once(operation: Operation, request: Request) -> Response:
        await flow(operation, request)
        await answered.wait()
        return Response(200, (), b"{}")

    async with on_loopback(registry(once), Edge(LONG)) as proxy:
        reader, writer = await proxy.open()
        writer.write(WHOLE * 10_000)
        await asyncio.sleep(0.1)
        (connection,) = proxy.connections._open.values()
        assert len(flow.requests) == 1
        assert len(connection.intake.waiting) <= 2 * LITTLE
        assert proxy.connections.headers.used == len(connection.intake.waiting)
        assert not connection.inner._messages
        answered.set()
        for _ in range(100):
            await reader.readuntil(b"{}")
        writer.transport.abort()
        await gone(proxy)
        assert proxy.connections.headers.used == 0


CHUNKED = b"PUT /v2/a/manifests/%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
SIZED = b"PUT /v2/a/manifests/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
PLAIN = b"GET /v2/a/manifests/%d HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 50, 1000, 100_000])
async def test_pipelined_requests_are_answered_in_order_wherever_they_are_cut(cut: int, read: bool) -> None:
    flow = Recorder(read=read)
    stream = b"".join(form % n for n, form in enumerate([PLAIN, SIZED, CHUNKED, SIZED, PLAIN, CHUNKED, CHUNKED, PLAIN]))
    stream += request()
    async with on_loopback(registry(flow), Edge(LONG)) as proxy:
        reader, writer = await proxy.open()
        for at in range(0, len(stream), cut):
            writer.write(stream[at : at + cut])
            if cut < 100:
                await asyncio.sleep(0)
        reply = await everything(reader)
        writer.close()
    assert reply.count(b"HTTP/1.1 200 ") == 9
    assert [getattr(op, "reference", "-") for op, _ in flow.requests] == [*map(str, range(8)), "-"]
    assert flow.bodies == ([b"abc"] * 5 if read else [])


async def test_a_body_that_nobody_reads_is_not_taken_in() -> None:
    answered = asyncio.Event()
    async with slow(answered) as inner, on_loopback(inner, Edge(LONG)) as proxy:
        _, writer = await proxy.open()
        writer.write(
            b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + b" " * 3_999_999
        )
        await asyncio.sleep(0.1)
        (connection,) = proxy.connections._open.values()
        assert len(connection.intake.waiting) <= 2 * LITTLE
        writer.transport.abort()
        answered.set()


async def test_after_a_body_that_was_not_read_the_next_header_has_its_deadline_again() -> None:
    flow = Recorder(read=False)
    async with on_loopback(registry(flow)) as proxy:
        reader, writer = await proxy.open()
        writer.write(SIZED % 1)
        await reader.readuntil(b"{}")
        writer.write(b"GET /v2/ HT")
        assert await asyncio.wait_for(everything(reader), 5) == b""
        writer.close()


# Connections


async def test_one_address_cannot_take_every_connection() -> None:
    form = asyncio.Event()

    async def token(call: object) -> Response:
        form.set()
        await small_body(call, 64 * 1024)  # type: ignore[arg-type]
        return Response(200)

    limits = replace(LONG, connections=16)
    connections = Connections(outermost(token, Edge(limits)), limits)

    def arrive(address: str) -> tuple[Guarded, Wire]:
        protocol = connections()
        wire = Wire(protocol, address)
        protocol.connection_made(wire)
        return protocol, wire

    greedy = [arrive("2001:db8:0:1::" + f"{n:x}") for n in range(1, 17)]
    for protocol, wire in greedy:
        if not wire.is_closing():
            protocol.data_received(SLOW_FORM)
    await form.wait()
    assert sum(not wire.is_closing() for _, wire in greedy) == 12
    others = [arrive(f"192.0.2.{n}") for n in range(1, 5)]
    assert not any(wire.is_closing() for _, wire in others)
    assert arrive("2001:db8:0:1:ffff::1")[1].is_closing()  # the same /64
    await connections.drain(0.0, 0.0)


async def test_who_has_a_share_makes_room_for_itself_only() -> None:
    limits = replace(LONG, connections=8)
    connections = Connections(outermost(registry(Recorder()), Edge(limits)), limits)

    async def arrive(address: str) -> Wire:
        protocol = connections()
        wire = Wire(protocol, address)
        protocol.connection_made(wire)
        if not wire.is_closing():
            protocol.data_received(WHOLE)
            while protocol not in connections.idle:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return wire

    other = await arrive("192.0.2.1")
    mine = [await arrive("192.0.2.9") for _ in range(20)]
    assert not other.is_closing()
    assert sum(not wire.is_closing() for wire in mine) == 5
    assert not mine[-1].is_closing()
    await connections.drain(0.0, 0.0)


async def test_five_hundred_nodes_behind_one_address_are_served() -> None:
    limits = Limits(connections=800, header_timeout_s=30.0)
    async with on_loopback(registry(Recorder()), Edge(limits)) as proxy:
        nodes = [await proxy.open() for _ in range(500)]
        for _, writer in nodes:
            writer.write(WHOLE)
        for reader, _ in nodes:
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 ")
        for _, writer in nodes:
            writer.close()


async def test_everything_behind_one_ingress_is_served_and_counted_by_the_address_it_tells() -> None:
    limits = replace(LONG, connections=16)
    answered, under_way = asyncio.Event(), asyncio.Semaphore(0)

    async def answer(operation: Operation, request: Request) -> Response:
        del operation, request
        under_way.release()
        await answered.wait()
        return Response(200, (), b"{}")

    async with on_loopback(registry(answer), Edge(limits, trusted=INGRESS)) as proxy:

        async def ask(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await proxy.open()
            writer.write(f"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n".encode())
            return reader, writer

        greedy = [await ask("198.51.100.7") for _ in range(12)]
        for _ in range(12):
            await under_way.acquire()
        refused, writer = await ask("198.51.100.7")
        reply = await refused.readuntil(b"}]}")
        assert said(reply) == (
            429,
            "too many requests from your address are being answered; try again in a few seconds",
        )
        writer.close()
        nodes = [await ask(f"203.0.113.{n}") for n in range(3)]
        for _ in range(3):
            await under_way.acquire()
        answered.set()
        for reader, each in (*greedy, *nodes):
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 ")
            each.close()


async def test_a_small_body_has_a_deadline_for_all_of_it() -> None:
    async def token(call: object) -> Response:
        await small_body(call, 64 * 1024)  # type: ignore[arg-type]
        return Response(200)

    limits = replace(LONG, kept_grace_s=0.1, kept_rate=1_000_000)
    async with on_loopback(token, Edge(limits)) as proxy:
        reader, writer = await proxy.open()
        writer.write(SLOW_FORM)

        async def drip() -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        reply = await everything(reader)
        dripping.cancel()
        writer.close()
    assert said(reply)[0] == 408


async def test_an_unready_parser_is_asked_in_memory_as_over_a_socket() -> None:
    async with in_memory(registry(Recorder())) as proxy:
        assert (await proxy.get("/v2/")).startswith(b"HTTP/1.1 200 ")


def test_ipv6_is_counted_by_its_64() -> None:
    assert network_of("2001:db8:0:1::1") == network_of("2001:db8:0:1:ffff:ffff:ffff:ffff")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8:0:2::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")
