"""The upstream refuses, breaks off, stalls, is slow, or loses what was attached; seen through the real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.faults.adversary import Adversary, adversary, answers, cut
from tests.faults.caller import LAYER, Caller, caller, digest_of, image
from tests.faults.served import Served, served
from tests.interop.peers import free_port
from tests.interop.registries import docker_registry
from tests.interop.toxics import network

pytestmark = pytest.mark.real
REPOSITORY = "team/app"
BLOB = f"/v2/{REPOSITORY}/blobs/{digest_of(LAYER)}"
IDLE = 1.5


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def impatient(settings: dict[str, Any]) -> None:
    patience = {"body_idle_s": IDLE, "header_timeout_s": IDLE}
    settings["limits"] = {**patience, "repair_check_s": 0.1, "tag_age_s": 0.01, "decision_bucket_s": 1}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("upstream")
    to = f"http://127.0.0.1:{port}"
    with (
        docker_registry(folder / "up") as upstream,
        served(folder / "proxy", upstream, impatient, faulty=True, to=to) as made,
    ):
        made.start()
        yield made
        assert made.leave() == 0
        assert "Traceback" not in made.daemon.printed()


@dataclass
class World:
    """A caller, the registry behind, and the adversary between it and the proxy."""

    proxy: Served
    client: Caller
    behind: Caller
    upstream: Adversary

    async def pushed(self, tag: str, body: bytes) -> None:
        """It goes through, and comes out as it went in."""
        reply = await self.client.push(REPOSITORY, tag, body)
        assert reply.status == 201, reply
        assert (await self.client.pull(REPOSITORY, tag)).body == body

    async def refused(self, tag: str, body: bytes, *, moved: bool = False) -> str:
        """A push that people can read the refusal of; it says whether the tag has moved, and that is so."""
        became = "the tag has moved, and lacks the signature that names it" if moved else "the tag was not moved"
        reply = await self.client.push(REPOSITORY, tag, body)
        assert reply.status == 403, reply
        assert "blocked by countersign (not a login problem): " in reply.message
        assert "was not signed (" in reply.message
        assert f"{became}; push again" in reply.message
        assert "retry-after" in reply.headers
        assert (await self.behind.pull(REPOSITORY, tag)).status == (200 if moved else 404)
        return reply.message


@pytest.fixture
async def world(proxy: Served, port: int) -> AsyncIterator[World]:
    async with adversary(port, proxy.upstream.host) as upstream, caller(proxy.host) as client:
        world = World(proxy, client, client.at(proxy.upstream.host), upstream)
        if not await world.behind.tags(REPOSITORY):
            await world.behind.furnish(REPOSITORY)
        await world.pushed("known", image("known"))
        yield world


def signs(proxy: Served, body: bytes) -> int:
    """How many signatures of that image the ledger has."""
    ((count,),) = proxy.rows("SELECT count(*) FROM ledger WHERE digest = ? AND signature IS NOT NULL", digest_of(body))
    return int(count)


async def converges(world: World, tag: str, body: bytes, before: int) -> None:
    """A retry ends well with the signatures that were made the first time."""
    made = signs(world.proxy, body)
    world.upstream.rules.clear()
    await world.pushed(tag, body)
    assert world.proxy.token.seen("sign") - before == signs(world.proxy, body) >= made
    found = await world.behind.signatures(REPOSITORY, digest_of(body))
    assert len({bound for bound, _ in found}) == len(found) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("where", ["signature", "blobs", "index"])
async def test_upstream_refuses_our_signature(world: World, where: str, status: int) -> None:
    body = image()
    before = world.proxy.token.seen("sign")
    name = digest_of(body).replace(":", "-")
    rule = {
        "signature": answers("PUT", f"/manifests/{name}.sig", status),
        "index": answers("PUT", f"/manifests/{name}", status),
        "blobs": answers("POST", "/blobs/uploads/", status),
    }[where]
    world.upstream.rules.append(rule)
    assert str(status) in await world.refused(f"{where}-{status}", body, moved=where == "signature")
    await converges(world, f"{where}-{status}", body, before)


@pytest.mark.parametrize("status", [429, 500])
async def test_upstream_refuses_the_image_itself(world: World, status: int) -> None:
    body = image()
    before = world.proxy.token.seen("sign")
    world.upstream.rules.append(answers("PUT", digest_of(body), status, Retry_After="7"))
    reply = await world.client.push(REPOSITORY, f"itself-{status}", body)
    assert reply.status == status
    assert (await world.behind.pull(REPOSITORY, f"itself-{status}")).status == 404
    assert world.proxy.token.seen("sign") == before
    await converges(world, f"itself-{status}", body, before)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("where", ["digest", "signature", "tag"])
async def test_a_reset_in_the_middle_of_a_push(world: World, where: str, after: bool) -> None:
    """Where upstream has taken it and only the answer is lost, the push goes on; else the retry converges."""
    body, tag = image(), f"reset-{where}-{after}".lower()
    before = world.proxy.token.seen("sign")
    name = digest_of(body)
    path = {"digest": name, "signature": f"{name.replace(':', '-')}.sig", "tag": tag}[where]
    left = [1]

    async def reset(request: web.BaseRequest) -> web.StreamResponse | None:
        if request.method != "PUT" or not request.path.endswith(f"/manifests/{path}") or not left[0]:
            return None
        left[0] = 0
        if after:
            await world.upstream.relayed(request)
        cut(request)
        return web.Response()

    world.upstream.rules.append(reset)
    reply = await world.client.push(REPOSITORY, tag, body)
    assert not left[0]
    there = await world.behind.pull(REPOSITORY, tag)
    if after:
        assert (reply.status, there.status) == (201, 200), reply
        assert len(await world.behind.signatures(REPOSITORY, name)) == 2
    else:
        assert (reply.status, there.status) == (403, 200 if where == "signature" else 404), reply
        assert "(the registry behind this proxy does not answer)" in reply.message
        assert "push again" in reply.message
    await converges(world, tag, body, before)


@pytest.mark.parametrize("status", [429, 500])
async def test_a_pull_that_upstream_refuses_is_never_allowed_and_never_blamed_on_the_image(
    world: World, status: int
) -> None:
    body = image()
    await world.behind.push(REPOSITORY, f"unsigned-{status}", body)
    world.upstream.rules.append(answers("GET", ".sig", status))
    reply = await world.client.pull(REPOSITORY, f"unsigned-{status}")
    assert reply.status == 403
    assert "could not verify" in reply.message
    assert "retry" in reply.message
    assert "retry-after" in reply.headers
    assert (await world.client.pull(REPOSITORY, "known")).status == 200
    world.upstream.rules.clear()
    reply = await world.client.pull(REPOSITORY, f"unsigned-{status}")
    assert reply.status == 403
    assert "unsigned" in reply.reason


async def test_a_reset_in_the_middle_of_a_layer_is_not_a_whole_layer(world: World) -> None:
    async def half(request: web.BaseRequest) -> web.StreamResponse | None:
        if request.method != "GET" or request.path != BLOB:
            return None
        answer = web.StreamResponse(headers={"Content-Length": str(len(LAYER))})
        await answer.prepare(request)
        await answer.write(LAYER[:5])
        cut(request)
        return answer

    world.upstream.rules.append(half)
    with pytest.raises(aiohttp.ClientError):
        await world.client.ask("GET", BLOB)
    world.upstream.rules.clear()
    assert (await world.client.ask("GET", BLOB)).body == LAYER


async def test_a_stall_ends_at_its_limit_and_holds_up_nobody_else(world: World) -> None:
    asleep = asyncio.Event()

    async def stall(request: web.BaseRequest) -> web.StreamResponse | None:
        if "stalled" in request.path or request.path == BLOB:
            await asleep.wait()
        return None

    world.upstream.rules.append(stall)
    began = time.monotonic()
    layer, tag = (
        asyncio.create_task(world.client.ask("GET", path)) for path in (BLOB, f"/v2/{REPOSITORY}/manifests/stalled")
    )
    await asyncio.sleep(0.2)
    assert (await world.client.pull(REPOSITORY, "known")).status == 200
    assert time.monotonic() - began < IDLE
    replies = [await layer, await tag]
    assert time.monotonic() - began < 3 * IDLE
    for reply in replies:
        assert reply.status in {403, 503}, reply
        assert "again" in reply.message or "retry" in reply.message
        assert "retry-after" in reply.headers
    asleep.set()


@pytest.mark.parametrize("lost", ["signature", "index", "both"])
async def test_what_upstream_loses_is_put_back_by_the_next_pull(world: World, lost: str) -> None:
    body, tag = image(), f"lost-{lost}"
    await world.pushed(tag, body)
    name = digest_of(body)
    before = world.proxy.token.seen("sign")
    had = (await world.behind.signatures(REPOSITORY, name), await world.behind.bundles(REPOSITORY, name))
    for kind, reference in (("signature", f"{name.replace(':', '-')}.sig"), ("index", name.replace(":", "-"))):
        if lost in {kind, "both"}:
            there = await world.behind.pull(REPOSITORY, reference)
            gone = await world.behind.ask("DELETE", f"/v2/{REPOSITORY}/manifests/{digest_of(there.body)}")
            assert gone.status == 202
    await asyncio.sleep(1.1)  # until the verdict of before is too old
    assert (await world.client.pull(REPOSITORY, tag)).body == body
    for _ in range(50):
        now = (await world.behind.signatures(REPOSITORY, name), await world.behind.bundles(REPOSITORY, name))
        if now == had:
            break
        await asyncio.sleep(0.1)
    assert now == had
    assert world.proxy.token.seen("sign") == before
    assert world.proxy.rows("SELECT 1 FROM journal WHERE kind = 'signature.repaired' AND digest = ?", name)


async def test_through_a_bad_line(proxy: Served, port: int) -> None:
    """Slow, narrow, broken and whole again: by toxiproxy, in the adversary's place."""
    with network(proxy.folder, proxy.upstream.host, port) as line:
        async with caller(proxy.host) as client:
            line.ails("latency", latency=150, jitter=50)
            body = image()
            assert (await client.push(REPOSITORY, "slow", body)).status == 201
            line.heal()
            line.ails("bandwidth", rate=50)
            assert (await client.pull(REPOSITORY, "slow")).body == body
            line.heal()
            line.cut()
            other = image()
            began = time.monotonic()
            refused = await client.push(REPOSITORY, "cut", other)
            pulled = await client.pull(REPOSITORY, "slow")
            while pulled.status == 200 and time.monotonic() - began < 2 * IDLE:
                assert pulled.body == body  # over a connection that was not cut yet: whole, or not at all
                await asyncio.sleep(0.05)
                pulled = await client.pull(REPOSITORY, "slow")
            assert time.monotonic() - began < 3 * IDLE
            for reply in (refused, pulled):
                assert reply.status in {403, 503}
                assert "again" in reply.message or "retry" in reply.message
            assert proxy.ready() == 200
            line.heal()
            line.ails("reset_peer", timeout=20)
            assert (await client.push(REPOSITORY, "cut", other)).status in {403, 503}
            line.heal()
            assert (await client.push(REPOSITORY, "cut", other)).status == 201
            assert (await client.pull(REPOSITORY, "cut")).body == other
