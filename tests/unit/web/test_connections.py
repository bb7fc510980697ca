"""Connections in memory. Deadlines and bounds under load are tested where there are sockets (tests/attacks, A28)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from ipaddress import ip_network

import pytest
from aiohttp import web

from proxy.registry.request import Response
from proxy.web.connections import Connections, Guarded
from proxy.web.replies import send
from proxy.web.speaker import FULL
from tests.worlds.listener import QUICK, Wire, body_of, head_of

ONE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def answer(request: web.BaseRequest) -> bool:
    await send(request, Response(200, (), b"fine"), None, "id", False, stays=True)
    return True


def arrive(ports: Connections) -> tuple[Guarded, Wire]:
    protocol = ports()
    wire = Wire(protocol)
    protocol.connection_made(wire)
    return protocol, wire


async def said(protocol: Guarded, wire: Wire, sent: bytes) -> bytes:
    """Send this and return the answer, once it is there."""
    before = len(wire.received)
    protocol.data_received(sent)
    async with asyncio.timeout(5):
        while len(wire.received) == before and not wire.is_closing():  # noqa: ASYNC110  a transport has no event
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    return bytes(wire.received[before:])


def test_a_full_house_says_so_in_whole_http_and_in_the_registry_s_words() -> None:
    line, headers = head_of(FULL)
    assert line == "HTTP/1.1 503 Service Unavailable"
    assert int(headers["content-length"]) == len(body_of(FULL))
    assert (headers["connection"], headers["retry-after"]) == ("close", "5")
    assert json.loads(body_of(FULL))["errors"][0]["code"] == "TOOMANYREQUESTS"


async def test_who_waited_longest_makes_room_and_who_has_not_asked_yet_does_not() -> None:
    ingress = [ip_network("192.0.2.0/24")]  # the same address for all, and no share of its own
    ports = Connections(answer, replace(QUICK, connections=2, header_timeout_s=30.0), ingress)
    first, second = arrive(ports), arrive(ports)
    _, turned_away = arrive(ports)
    head = head_of(bytes(turned_away.received))
    assert "date" in head[1]
    assert body_of(bytes(turned_away.received)) == body_of(FULL)
    assert turned_away.is_closing()
    await said(*second, ONE)
    await said(*first, ONE)
    _, third = arrive(ports)
    assert (first[1].aborted, second[1].aborted, third.aborted) == (False, True, False)
    assert len(ports) == 2
    assert b"fine" in await said(*first, ONE)
    await ports.drain(0.0, 1.0)
    assert len(ports) == 0
    assert first[1].is_closing()


async def test_the_requests_of_a_connection_are_answered_in_its_own_task() -> None:
    """Each request had a task of its own, which cost as much as reading it."""
    tasks: set[object] = set()

    async def noted(request: web.BaseRequest) -> bool:
        tasks.add(asyncio.current_task())
        return await answer(request)

    ports = Connections(noted, QUICK)
    connection = arrive(ports)
    for _ in range(3):
        assert b"fine" in await said(*connection, ONE)
    assert len(tasks) == 1
    await ports.drain(0.0, 1.0)


async def test_a_header_field_of_two_lines_is_never_sent() -> None:
    async def broken(request: web.BaseRequest) -> bool:
        with pytest.raises(ValueError, match="line break"):
            await send(request, Response(200, (("x", "a\r\ny: b"),)), None, "id", False, stays=True)
        return False

    ports = Connections(broken, QUICK)
    assert await said(*arrive(ports), ONE) == b""


async def test_what_is_not_http_is_refused_and_not_repeated() -> None:
    ports = Connections(answer, QUICK)
    reply = await said(*arrive(ports), b"GET canary\x01 SSH/2.0\r\n\r\n")
    assert head_of(reply)[0].split()[1] == "400"
    assert json.loads(body_of(reply))["errors"][0]["message"] == "the request could not be read as HTTP"
    assert b"canary" not in reply
    await ports.drain(0.0, 1.0)


async def test_a_client_that_stops_reading_has_until_it_reads_again() -> None:
    ports = Connections(answer, replace(QUICK, header_timeout_s=30.0, body_idle_s=0.05))
    patient, cut = arrive(ports), arrive(ports)
    for protocol, _ in (patient, cut):
        protocol.pause_writing()
    patient[0].resume_writing()
    async with asyncio.timeout(5):
        await cut[1].lost.wait()
    assert cut[1].aborted
    assert not patient[1].is_closing()
    await ports.drain(0.0, 1.0)
