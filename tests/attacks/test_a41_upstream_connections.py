"""Attack 41, towards upstream: one caller who reads or sends slowly must not keep the others from it. Real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from proxy.oci.limits import MIB, Limits
from proxy.oci.operation import Operation, StartUpload
from proxy.registry.handle import handle
from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Request, Response
from proxy.web.outermost import Edge
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.images import image
from tests.worlds.listener import Spoken, everything, head_of, on_loopback, registry
from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_http import connected

PLACES = 16  # pressure above 12, a share is 2
CROWD = 12
APP = image("app")
LAYER = bytes(16 * MIB)  # more than all the buffers on the way
ATTACKER, OTHER = "127.0.0.1", "127.0.0.2"


@dataclass
class Scene:
    """A proxy with few places, in front of a registry with one large layer."""

    w: World
    door: Spoken
    layer: str
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def stalled(self) -> None:
        """Wait until nobody's buffers take any more, for as long as that is nobody's patience."""
        moving, clock = self.w.ports.cache.transfers._moving, self.w.store.clock
        seen: list[tuple[int, int]] = []
        while (now := [(id(each), each._since) for each in moving]) != seen:
            seen = now
            await asyncio.sleep(0.5)
        clock.advance(self.w.ports.limits.transfer_patience_s)

    async def begin(
        self, path: str, by: str = ATTACKER, *headers: str, method: str = "GET", slowly: bool = True
    ) -> asyncio.StreamReader:
        """Send a request from this address and read nothing."""
        ours = socket.socket()
        if slowly:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours.bind((by, 0))
        ours.setblocking(False)
        await asyncio.get_running_loop().sock_connect(ours, (self.door.address.host, self.door.address.port))
        reader, writer = await asyncio.open_connection(sock=ours, limit=4096 if slowly else MIB)
        lines = (f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *headers, "", "")
        writer.write("\r\n".join(lines).encode())
        self.writers.append(writer)
        return reader

    async def ask(self, path: str, by: str = OTHER, *headers: str) -> tuple[int, dict[str, str], int]:
        """Return status, headers and length of the body of a request that is read to its end."""
        whole = await asyncio.wait_for(everything(await self.begin(path, by, *headers, slowly=False)), 30)
        line, said = head_of(whole)
        return int(line.split()[1]), said, len(whole.split(b"\r\n\r\n", 1)[1])

    async def crowd(self, path: str, *headers: str, count: int = CROWD) -> None:
        """Have the attacker begin so many, and wait until each of them has its place."""
        before = self.w.ports.cache.transfers.used
        for _ in range(count):
            await self.begin(path, ATTACKER, *headers)
        await until(lambda: self.w.ports.cache.transfers.used == before + count)


@asynccontextmanager
async def scene(*, forwarded: bool = False) -> AsyncIterator[Scene]:
    limits = Limits(tag_age_s=0, upstream_connections=PLACES, transfer_wait_s=0.0, connections=200)
    policy = replace(SIGN, pull=replace(SIGN.pull, blobs="open"))
    memory = MemoryRegistry()
    w = await world(policy, registry=memory, limits=limits)
    await w.push(APP, "team/app", "v1")
    layer = memory.put_blob("team/app", LAYER)
    memory.shelf("team/app").tags |= {f"t{n:0120d}": APP.digest for n in range(60_000)}
    async with AsyncExitStack() as stack:
        _, upstream = await stack.enter_async_context(connected(memory, limits=limits))
        w.ports = replace(w.ports, registry=upstream)

        async def handled(op: Operation, request: Request) -> Response:
            return await handle(op, request, w.ports)

        trusted = [ip_network("127.0.0.0/8")] if forwarded else ()
        door = await stack.enter_async_context(on_loopback(registry(handled), Edge(limits, trusted=trusted)))
        this = Scene(w, door, f"/v2/team/app/blobs/{layer}")
        try:
            yield this
        finally:
            for writer in this.writers:
                writer.transport.abort()
        await until(lambda: w.ports.cache.transfers.used == 0)


async def until(true: Callable[[], bool]) -> None:
    """Wait until this holds."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  what sockets do has no event
            await asyncio.sleep(0.005)


async def test_slow_readers_keep_nobody_from_questions_or_their_own_layers() -> None:
    async with scene() as s:
        await s.crowd(s.layer)
        for by in (ATTACKER, OTHER):
            for path in ("/v2/", "/v2/team/app/manifests/v1"):
                assert (await s.ask(path, by))[0] == 200, path
        for _ in range(10):
            status, _, size = await s.ask(s.layer)
            assert (status, size) == (200, len(LAYER))


async def test_more_than_a_share_is_told_at_once_when_to_come_again() -> None:
    async with scene() as s:
        await s.crowd(s.layer)
        status, headers, _ = await s.ask(s.layer, ATTACKER)
        assert (status, headers["retry-after"]) == (429, "5")
        assert s.w.ports.cache.transfers.used == CROWD


async def test_a_reader_who_hardly_reads_gives_way() -> None:
    async with scene() as s:
        await s.crowd(s.layer)
        await s.stalled()
        for _ in range(3):
            status, _, size = await s.ask(s.layer, ATTACKER)
            assert (status, size) == (200, len(LAYER))
        assert s.w.ports.cache.transfers.used == CROWD - 1  # one of them was cut, and its place is free again


async def test_lists_of_tags_that_nobody_reads_keep_nobody_from_anything() -> None:
    """A list is read from upstream whole before any of it leaves: who reads slowly holds no connection there."""
    tags = "/v2/team/app/tags/list"
    async with scene() as s:
        for _ in range(CROWD):
            await s.begin(tags, ATTACKER)
        for by in (ATTACKER, OTHER):
            assert (await s.ask("/v2/", by))[0] == 200
        assert (await s.ask(tags))[0] == 200
        assert s.w.ports.cache.transfers.used == 0


async def test_slow_senders_keep_nobody_from_questions() -> None:
    async with scene() as s:
        started = await s.w.registry.perform(StartUpload(REPO), Credential())
        location = next(value for name, value in started.headers if name == "location")
        for _ in range(CROWD):
            await s.begin(location, ATTACKER, "Content-Length: 1000000", method="PATCH")
        await until(lambda: s.w.ports.cache.transfers.used == CROWD)
        assert (await s.ask("/v2/", ATTACKER))[0] == 200
        assert (await s.ask(s.layer))[0] == 200


async def test_as_many_nodes_as_are_below_the_pressure_pull_from_one_address_at_once() -> None:
    """500 nodes behind one NAT with three layers each are below three quarters of the default; here 12 of 16."""
    assert Limits().upstream_connections * 3 / 4 >= 500 * 3
    async with scene() as s:
        answers = await asyncio.gather(*(s.ask(s.layer, ATTACKER) for _ in range(CROWD)))
        assert {(status, size) for status, _, size in answers} == {(200, len(LAYER))}


async def test_behind_an_ingress_the_address_that_it_forwards_counts() -> None:
    async with scene(forwarded=True) as s:
        await s.crowd(s.layer, "X-Forwarded-For: 203.0.113.9")
        assert (await s.ask(s.layer, ATTACKER, "X-Forwarded-For: 203.0.113.9"))[0] == 429
        for n in range(3):
            status, _, size = await s.ask(s.layer, ATTACKER, f"X-Forwarded-For: 198.51.100.{n}")
            assert (status, size) == (200, len(LAYER))
