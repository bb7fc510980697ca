"""The body of a request, seen from the handler that reads it or leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.oci.faults import Fault
from proxy.registry.request import Response
from proxy.web.body import Body
from proxy.web.call import Call
from tests.worlds.listener import Wire, in_memory

PUT = b"PUT /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


async def received(sent: bytes, look: Callable[[Body], Awaitable[None]]) -> bytes:
    """Send a request; `look` is what its handler does with the body."""

    async def inner(call: Call) -> Response:
        await look(call.body)
        return Response(200)

    async with in_memory(inner) as proxy:
        return await proxy.say(PUT + sent, 15.0)


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"\r\n", (False, 0, False)),
        (b"Content-Length: 0\r\n\r\n", (False, 0, False)),
        (b"Content-Length: 3\r\n\r\nabc", (True, 3, False)),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", (True, None, True)),
    ],
)
async def test_what_is_known_before_anything_is_read(sent: bytes, seen: tuple[bool, int | None, bool]) -> None:
    known: list[tuple[bool, int | None, bool]] = []

    async def look(body: Body) -> None:
        known.append((body.present, body.length, body.chunked))

    await received(sent, look)
    assert known == [seen]


async def test_bytes_are_counted_and_nothing_is_pending_afterwards() -> None:
    async def look(body: Body) -> None:
        assert body.received == 0
        assert b"".join([chunk async for chunk in body]) == b"x" * 100_000
        assert (body.pending, body.received, body.fault) == (False, 100_000, None)

    assert (await received(b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000, look)).startswith(b"HTTP/1.1 200 ")


async def test_who_waits_to_be_asked_is_asked_once() -> None:
    async def look(body: Body) -> None:
        assert (body.expected, body.continued) == (True, False)
        for _ in range(2):
            assert [chunk async for chunk in body] in ([b"abc"], [])
        assert body.continued

    reply = await received(b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", look)
    assert reply.count(b"100 Continue") == 1
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


async def test_a_body_that_breaks_off_is_a_fault_and_never_a_short_body() -> None:
    faults: list[Fault | None] = []
    reading, over = asyncio.Event(), asyncio.Event()

    async def inner(call: Call) -> Response:
        try:
            async for _ in call.body:
                reading.set()
        finally:
            faults.append(call.body.fault)
            over.set()
        return Response(200)

    async with in_memory(inner) as proxy:
        protocol = proxy.connections()
        wire = Wire(protocol)
        protocol.connection_made(wire)
        protocol.data_received(PUT + b"Content-Length: 10\r\n\r\nhalf")
        await reading.wait()
        wire.abort()
        await asyncio.wait_for(over.wait(), 15.0)
    assert [(fault.status, fault.message) for fault in faults if fault] == [
        (400, "the request body broke off or is not valid HTTP")
    ]
