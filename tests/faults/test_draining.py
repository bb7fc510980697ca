"""Leaving: what is under way ends, what has not begun is closed, what does not end is cut (ATTACKS 4.9)."""

import asyncio
import ssl
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from proxy.oci.limits import Limits
from proxy.registry.request import Response
from proxy.web.app import admin_app
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Server, Tls
from tests.worlds.listener import QUICK, Recorder, everything, head_of, registry

GET = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"
ANY = Address("127.0.0.1", 0)


class Gate:
    """A flow that answers once it is let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self._entered = asyncio.Semaphore(0)

    async def __call__(self, *_: object) -> Response:
        self._entered.release()
        await self.open.wait()
        return Response(200, (), b"{}")

    async def inside(self, count: int) -> None:
        """Wait until so many requests are inside."""
        for _ in range(count):
            await self._entered.acquire()


@asynccontextmanager
async def ports(handle: object, limits: Limits) -> AsyncIterator[tuple[Server, Address, Address]]:
    leaving = asyncio.Event()
    server = Server(leaving, limits)
    edge = Edge(limits, leaving=leaving.is_set)
    public = await server.public(outermost(registry(handle), edge), ANY)  # type: ignore[arg-type]
    probes = admin_app(lambda: b"", lambda: "draining" if leaving.is_set() else None)
    admin = await server.admin(outermost(probes, Edge(limits)), ANY)
    try:
        yield server, public, admin
    finally:
        await server.leave(0.0)


async def ask(address: Address, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(sent)
    got = await asyncio.wait_for(everything(reader), 10)
    writer.close()
    return got


async def test_two_hundred_transfers_finish_and_say_that_the_connection_closes() -> None:
    gate = Gate()
    async with ports(gate, Limits(drain_s=10)) as (server, public, admin):
        asking = [asyncio.ensure_future(ask(public, GET)) for _ in range(200)]
        await gate.inside(200)
        leaving = asyncio.ensure_future(server.leave(0.1))
        await asyncio.sleep(0.05)
        ready = await ask(admin, b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert ready.startswith(b"HTTP/1.1 503 ")
        with pytest.raises(ConnectionError):
            await ask(public, GET)
        gate.open.set()
        replies = await asyncio.gather(*asking)
        assert await leaving == 0
    assert all(reply.startswith(b"HTTP/1.1 200 ") for reply in replies)
    assert all(head_of(reply)[1]["connection"] == "close" for reply in replies)


async def test_what_does_not_end_is_cut_at_the_deadline() -> None:
    gate = Gate()
    async with ports(gate, Limits(drain_s=0.5)) as (server, public, _):
        asking = asyncio.ensure_future(ask(public, GET))
        await gate.inside(1)
        started = time.monotonic()
        assert await server.leave(0.1) == 1
        assert time.monotonic() - started < 5
        assert await asking == b""


async def test_an_accepted_connection_gets_time_for_its_first_request() -> None:
    flow = Recorder()
    async with ports(flow, Limits(drain_s=10)) as (server, public, _):
        reader, writer = await asyncio.open_connection(public.host, public.port)
        silent, other = await asyncio.open_connection(public.host, public.port)
        await asyncio.sleep(0.05)
        started = time.monotonic()
        leaving = asyncio.ensure_future(server.leave(0.6))
        await asyncio.sleep(0.2)
        writer.write(GET)
        assert (await everything(reader)).startswith(b"HTTP/1.1 200 ")
        assert await everything(silent) == b""
        assert await leaving == 0
        assert 0.5 < time.monotonic() - started < 5
        writer.close()
        other.close()


async def test_the_unix_socket_is_for_its_owner_alone_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "countersign.sock"
    for _ in range(2):
        server = Server(asyncio.Event(), QUICK)
        await server.local(outermost(registry(Recorder()), Edge(QUICK)), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await everything(reader)).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await server.leave(0.0)
        assert not path.exists()


def write(authority: trustme.CA, folder: Path, name: str) -> tuple[Path, Path]:
    issued = authority.issue_cert(name)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


async def names(address: Address, authority: trustme.CA) -> tuple[asyncio.StreamWriter, str]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.check_hostname = False
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    shown = writer.get_extra_info("peercert")["subjectAltName"][0][1]
    return writer, shown


async def test_certificates_are_exchanged_without_dropping_a_connection(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = Tls(*write(authority, tmp_path, "old.test"))
    limits = replace(QUICK, header_timeout_s=5.0)
    server = Server(asyncio.Event(), limits)
    address = await server.public(outermost(registry(Recorder()), Edge(limits)), ANY, tls)
    old, name = await names(address, authority)
    assert name == "old.test"
    (tmp_path / "tls.crt").write_text("broken")
    with pytest.raises(ssl.SSLError):
        tls.reload()
    again, name = await names(address, authority)
    assert name == "old.test"
    write(authority, tmp_path, "new.test")
    tls.reload()
    new, name = await names(address, authority)
    assert name == "new.test"
    assert not old.transport.is_closing()
    for writer in (old, again, new):
        writer.close()
    await server.leave(0.0)
