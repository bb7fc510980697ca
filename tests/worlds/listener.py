"""Bytes said to the real listener, over a socket or in memory, and the bytes that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from proxy.oci.limits import Limits
from proxy.oci.operation import Operation
from proxy.registry.ports.upstream import Headers
from proxy.registry.request import Request, Response
from proxy.web.app import Handle, public_app
from proxy.web.connections import Connections, Guarded
from proxy.web.outermost import Edge, Inner, outermost
from proxy.web.server import Address, Listener

QUICK = Limits(header_timeout_s=0.3, body_idle_s=0.3, connections=50)


@dataclass
class Recorder:
    """A registry flow that remembers what it was asked, and the bodies it read."""

    answer: Response = field(default_factory=lambda: Response(200, (("content-type", "application/json"),), b"{}"))
    read: bool = True
    requests: list[tuple[Operation, Request]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, operation: Operation, request: Request) -> Response:
        self.requests.append((operation, request))
        if self.read and request.body is not None:
            self.bodies.append(b"".join([chunk async for chunk in request.body]))
        return self.answer


@dataclass
class Reply:
    """An upstream reply made of chunks; `fails` is raised after them."""

    chunks: tuple[bytes, ...] = ()
    status: int = 200
    headers: Headers = ()
    fails: Exception | None = None
    closed: bool = False

    async def read(self, limit: int) -> bytes:
        return b"".join(self.chunks)[:limit]

    def stream(self) -> AsyncIterable[bytes]:
        return self._stream()

    async def _stream(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.fails is not None:
            raise self.fails

    async def close(self) -> None:
        self.closed = True


class Spoken:
    """Somebody who says bytes on a connection of their own; `say` is what tells the two kinds apart."""

    def __init__(self, say: Callable[[bytes, float], Awaitable[bytes]], connections: Connections, address: Address):
        self._say = say
        self.connections = connections
        self.address = address

    async def say(self, sent: bytes, wait_s: float = 5.0) -> bytes:
        """Send these bytes on a new connection and return everything that comes back until it closes."""
        return await self._say(sent, wait_s)

    async def get(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
        """Send one request that asks for the connection to be closed."""
        lines = [f"{method} {target} HTTP/1.1", "Host: proxy.test", "Connection: close", *headers]
        return await self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a raw connection."""
        return await asyncio.open_connection(self.address.host, self.address.port)


class Wire(asyncio.Transport):
    """A transport in memory: what the server writes is kept in `received`."""

    def __init__(self, protocol: Guarded, address: str = "192.0.2.7") -> None:
        super().__init__()
        self._address = address
        self.received = bytearray()
        self.lost = asyncio.Event()
        self.aborted = False
        self._protocol = protocol
        self._closing = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self._address, 40000) if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing:
            self.received += data

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._lose)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def _lose(self) -> None:
        self._protocol.connection_lost(None)
        self.lost.set()


@asynccontextmanager
async def in_memory(inner: Inner, edge: Edge | None = None) -> AsyncIterator[Spoken]:
    """Speak to the handler through aiohttp's own protocol, without a socket."""
    edge = edge or Edge(QUICK)
    connections = Connections(outermost(inner, edge), edge.limits, edge.trusted)

    async def say(sent: bytes, wait_s: float) -> bytes:
        protocol = connections()
        wire = Wire(protocol)
        protocol.connection_made(wire)
        protocol.data_received(sent)
        try:
            await asyncio.wait_for(wire.lost.wait(), wait_s)
        finally:
            wire.abort()
        return bytes(wire.received)

    try:
        yield Spoken(say, connections, Address("memory", 0))
    finally:
        await connections.drain(0.0, 0.0)


@asynccontextmanager
async def on_loopback(inner: Inner, edge: Edge | None = None) -> AsyncIterator[Spoken]:
    """Serve this on a free port of loopback."""
    edge = edge or Edge(QUICK)
    listener = Listener(outermost(inner, edge), edge.limits, edge.trusted)
    address = await listener.listen(Address("127.0.0.1", 0))

    async def say(sent: bytes, wait_s: float) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(sent)
        try:
            return await asyncio.wait_for(everything(reader), wait_s)
        finally:
            writer.close()

    try:
        yield Spoken(say, listener.connections, address)
    finally:
        await listener.leave(0.0, 0.0)


async def everything(reader: asyncio.StreamReader) -> bytes:
    """Return what arrives until the connection ends, in whatever way it ends."""
    got = bytearray()
    while True:
        try:
            chunk = await reader.read(65536)
        except ConnectionError:
            return bytes(got)
        if not chunk:
            return bytes(got)
        got += chunk


def registry(handle: Handle) -> Inner:
    """Return the public listener's handler in front of this flow, without pages."""
    return public_app(handle, {})


def head_of(reply: bytes) -> tuple[str, dict[str, str]]:
    """Return the status line and the headers (lower-case names) of the first reply."""
    lines = reply.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    return lines[0], {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}


def body_of(reply: bytes) -> bytes:
    """Return what follows the first header."""
    return reply.split(b"\r\n\r\n", 1)[1]
