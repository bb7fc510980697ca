"""ATTACK 39: a TLS connection counts before its handshake is done, and nothing is lost when it is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trustme

from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Listener, Tls
from tests.worlds.listener import QUICK, Recorder, everything, registry

LIMITS = replace(QUICK, connections=16, header_timeout_s=5.0, body_idle_s=5.0)
WHOLE = b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass
class Encrypted:
    """A listener that speaks TLS."""

    listener: Listener
    port: int
    client: ssl.SSLContext
    flow: Recorder

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.client)
        writer.write(sent)
        reply = await everything(reader)
        writer.close()
        return reply

    async def count(self, wanted: int) -> None:
        async with asyncio.timeout(10):
            while len(self.listener.connections) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def encrypted(folder: Path, limits: object = LIMITS) -> AsyncIterator[Encrypted]:
    ca, flow = trustme.CA(), Recorder()
    own = ca.issue_cert("127.0.0.1")
    own.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    own.private_key_pem.write_to_path(folder / "key.pem")
    client = ssl.create_default_context()
    ca.configure_trust(client)
    listener = Listener(outermost(registry(flow), Edge(LIMITS)), limits)  # type: ignore[arg-type]
    address = await listener.listen(Address("127.0.0.1", 0), Tls(folder / "cert.pem", folder / "key.pem"))
    try:
        yield Encrypted(listener, address.port, client, flow)
    finally:
        await listener.leave(0.0, 0.0)


async def test_half_done_handshakes_are_connections_and_have_a_share(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as server:
        silent = [await server.raw() for _ in range(12)]
        await server.count(12)
        reader, writer = await server.raw()  # an address has no more than that
        assert await everything(reader) == b""
        writer.close()
        assert len(server.listener.connections) == 12
        for _, each in silent[:6]:
            each.transport.abort()
        await server.count(6)
        assert (await server.say(WHOLE)).startswith(b"HTTP/1.1 200 ")
        for _, each in silent[6:]:
            each.close()
        await server.count(0)


async def test_a_handshake_has_the_time_of_a_header(tmp_path: Path) -> None:
    async with encrypted(tmp_path, replace(LIMITS, header_timeout_s=0.2)) as server:
        reader, writer = await server.raw()
        writer.write(b"\x16\x03\x01")  # and no more of it
        assert await asyncio.wait_for(everything(reader), 5) == b""
        await server.count(0)
        writer.close()


async def test_what_is_no_tls_is_gone_at_once(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as server:
        for junk in (WHOLE, b"\0" * 100, b"\x16\x03\x01\x02\x00" + b"\xff" * 512):
            reader, writer = await server.raw()
            writer.write(junk)
            await asyncio.wait_for(everything(reader), 5)
            writer.close()
        await server.count(0)
        assert not server.flow.requests


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as server:
        for _ in range(20):
            assert (await server.say(WHOLE)).startswith(b"HTTP/1.1 200 ")
        assert len(server.flow.requests) == 20


async def test_a_large_body_arrives_whole(tmp_path: Path) -> None:
    body = bytes(range(256)) * 16_000
    head = f"PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    async with encrypted(tmp_path) as server:
        assert (await server.say(head.encode() + body)).startswith(b"HTTP/1.1 200 ")
        assert server.flow.bodies == [body]


async def test_connections_in_the_middle_of_a_handshake_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as server:
        _, writer = await server.raw()
        await server.count(1)
        await server.listener.leave(0.0, 1.0)
        await server.count(0)
        writer.close()
