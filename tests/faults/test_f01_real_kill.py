"""The server is killed at random moments of many pushes: nothing unsigned, nothing twice, a retry converges."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
from collections.abc import Callable, Collection, Iterable, Iterator

import aiohttp
import pytest

from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.served import Served, alive, served
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
ROUNDS, WORKERS = 4, 6
SEED = 4711
REPOSITORY = "load/app"
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("kill")
    with docker_registry(folder / "upstream") as upstream, served(folder / "proxy", upstream) as made:
        yield made


class Load:
    """Workers that push image after image; what was answered, and what was not."""

    def __init__(self, client: Caller) -> None:
        self.client = client
        self.accepted: dict[str, bytes] = {}
        self.refused: dict[str, bytes] = {}
        self.unknown: dict[str, bytes] = {}

    async def worker(self, name: str) -> None:
        for number in range(10_000):
            tag, body = f"{name}-{number}", image()
            try:
                reply = await self.client.push(REPOSITORY, tag, body)
            except BROKEN:
                self.unknown[tag] = body
                return
            (self.accepted if reply.status == 201 else self.refused)[tag] = body

    async def until(self, name: str, pushes: int, moment: float, strike: Callable[[], None]) -> None:
        """Push so many images, and so many seconds longer; then it strikes, and every worker ends."""
        workers = [asyncio.create_task(self.worker(f"{name}-{n}")) for n in range(WORKERS)]
        enough = len(self.accepted) + pushes
        async with asyncio.timeout(30):
            while len(self.accepted) < enough:  # noqa: ASYNC110  what is waited for happens in another process
                await asyncio.sleep(0.005)
        await asyncio.sleep(moment)
        strike()
        await asyncio.gather(*workers)


async def nothing_is_unsigned(
    behind: Caller, proxy: Served, tags: Iterable[str], unknown: Collection[str] = ()
) -> None:
    """Every tag upstream points to a manifest with our signature beside it, and each signature is in the ledger.

    What names the tag follows once the tag has moved: of those that nobody was told of it may be missing.
    """
    known = proxy.rows("SELECT digest, bound, signature FROM ledger WHERE format = 'cosign-simple'")
    ledger = {(digest, bound, base64.b64encode(signed).decode()) for digest, bound, signed in known if signed}

    async def look(tag: str) -> None:
        found = await behind.pull(REPOSITORY, tag)
        for _ in range(50):  # the registry lists a tag before it has written where it points
            if found.status == 200:
                break
            await asyncio.sleep(0.1)
            found = await behind.pull(REPOSITORY, tag)
        if found.status == 404 and tag in unknown:
            return
        assert found.status == 200, (tag, found.status)
        digest = digest_of(found.body)
        there = await behind.signatures(REPOSITORY, digest)
        bounds = [bound for bound, _ in there]
        named = f"{proxy.host}/{REPOSITORY}:{tag}" in bounds
        assert named or tag in unknown, f"{tag} is not signed upstream"
        assert len(set(bounds)) == len(bounds), f"{tag} was signed twice: {bounds}"
        assert {(digest, *each) for each in there} <= ledger, f"{tag} has signatures nobody knows of"
        assert len(await behind.bundles(REPOSITORY, digest)) == 1

    await asyncio.gather(*map(look, tags))


async def test_killed_at_any_moment_nothing_is_unsigned_and_a_retry_converges(proxy: Served) -> None:
    chance = random.Random(SEED)  # noqa: S311  moments, not secrets
    proxy.start()
    async with caller(proxy.host) as client:
        behind = client.at(proxy.upstream.host)
        await behind.furnish(REPOSITORY)
        load = Load(client)
        seen: set[str] = set()
        for number in range(ROUNDS):
            left: list[int] = []

            def strike(number: int = number, left: list[int] = left) -> None:
                if number % 2:  # the token's processes go first
                    for pid in proxy.children():
                        os.kill(pid, signal.SIGKILL)
                left += proxy.kill()

            await load.until(f"round{number}", chance.randrange(12), chance.uniform(0, 0.1), strike)
            fresh = set(await behind.tags(REPOSITORY)) - seen
            await nothing_is_unsigned(behind, proxy, fresh, load.unknown)
            seen |= fresh
            assert proxy.start() < 15
            assert not any(map(alive, left)), "processes that hold the token outlived the server"
        assert load.accepted
        assert load.unknown
        assert not load.refused
        pulls = await asyncio.gather(*(client.pull(REPOSITORY, tag) for tag in load.accepted))
        assert {pulled.status for pulled in pulls} == {200}
        for tag, body in load.unknown.items():
            before = (await behind.pull(REPOSITORY, tag)).status
            shown = (await client.pull(REPOSITORY, tag)).status
            assert shown == before, f"{tag}: {before} upstream, {shown} through the proxy"
            assert (await client.push(REPOSITORY, tag, body)).status == 201
            assert (await client.pull(REPOSITORY, tag)).body == body
        await nothing_is_unsigned(behind, proxy, await behind.tags(REPOSITORY))
    assert proxy.rows("SELECT DISTINCT stage FROM ledger") == [("attached",)]
    assert proxy.leave() == 0


async def test_killing_the_processes_of_the_token_under_load_loses_no_push(proxy: Served) -> None:
    proxy.start()
    async with caller(proxy.host) as client:
        load = Load(client)
        workers = [asyncio.create_task(load.worker(f"children-{n}")) for n in range(WORKERS)]
        for _ in range(5):
            await asyncio.sleep(0.3)
            for pid in proxy.children():
                os.kill(pid, signal.SIGKILL)
        for _ in range(600):  # on a busy machine the first push takes longer than all of this
            if load.accepted:
                break
            await asyncio.sleep(0.1)
        left = proxy.kill()
        await asyncio.gather(*workers)
        assert load.accepted
        assert not load.refused
        await nothing_is_unsigned(client.at(proxy.upstream.host), proxy, list(load.accepted))
        for _ in range(50):
            if not any(map(alive, left)):
                break
            await asyncio.sleep(0.1)
        assert not any(map(alive, left))
