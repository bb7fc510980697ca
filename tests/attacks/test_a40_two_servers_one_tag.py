"""Attack 40: two servers on one PostgreSQL, images pushed to one tag through both at once.

The image under the tag always has its signature for the tag afterwards, and no other image has one for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.layouts import OCI_INDEX, OCI_MANIFEST, digest_of
from proxy.registry.cache import Cache
from proxy.registry.signing.retag import finish_all
from proxy.trust.fact import HELD_S
from tests.faults.caller import Caller, caller, image
from tests.faults.served import served
from tests.faults.test_f07_two_servers import Two
from tests.interop.registries import docker_registry
from tests.worlds.conversation import World, world
from tests.worlds.images import image as memory_image
from tests.worlds.named import missing, wrong
from tests.worlds.postgres import MISSING, postgres_cluster, postgres_programs
from tests.worlds.registry import Seen

REPOSITORY = "load/app"


async def sharing(w: World) -> World:
    """Another server on the same store and registry."""
    w.store.tags.sole = False
    return replace(w, ports=replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic)))


async def test_in_memory_fifty_rounds_of_two_servers_leave_one_image_signed_for_the_tag() -> None:
    w = await world()
    other = await sharing(w)

    async def slowly(_seen: Seen) -> None:
        await asyncio.sleep(0)

    w.registry.pause = slowly
    for n in range(50):
        one, two = memory_image(f"a{n % 7}"), memory_image(f"b{n % 5}")
        await asyncio.gather(w.push(one, "team/app", "latest"), other.push(two, "team/app", "latest"))
        for each in (w, other):
            await each.ports.cache.settle()
        assert wrong(w) == []
        assert missing(w) == []


async def test_in_memory_two_tags_of_one_image_through_two_servers_are_both_named() -> None:
    w = await world()
    other = await sharing(w)

    async def slowly(_seen: Seen) -> None:
        await asyncio.sleep(0)

    w.registry.pause = slowly
    for n in range(20):
        one = memory_image(f"one {n}")
        await asyncio.gather(w.push(one, "team/app", f"a{n}"), other.push(one, "team/app", f"b{n}"))
        assert missing(w) == []


async def test_a_server_that_lost_the_tag_while_it_slept_writes_nothing_more() -> None:
    w = await world()
    other = await sharing(w)
    first, second = memory_image("first"), memory_image("second")
    asleep, wake = asyncio.Event(), asyncio.Event()

    async def sleeps(seen: Seen) -> None:
        if getattr(seen.operation, "reference", "") == first.digest and not asleep.is_set():
            asleep.set()
            await wake.wait()

    w.registry.pause = sleeps
    pushing = asyncio.create_task(w.push(first, "team/app", "latest"))
    await asleep.wait()
    w.store.clock.advance(HELD_S + 1)
    assert (await other.push(second, "team/app", "latest")).status == 201
    holds = [task for task in asyncio.all_tasks() if "_kept" in repr(task)]
    loop = asyncio.get_running_loop()
    real_time, loop.time = loop.time, lambda: real_time() + HELD_S  # type: ignore[method-assign]
    try:
        wake.set()
        with pytest.raises(Exception, match="taken over"):
            await pushing
    finally:
        loop.time = real_time  # type: ignore[method-assign]
    assert holds
    await other.ports.cache.settle()
    await finish_all(other.ports)
    assert w.tag("team/app", "latest") == second.digest
    assert wrong(w) == []
    assert missing(w) == []


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with docker_registry(tmp_path / "upstream") as upstream, postgres_cluster() as cluster:
        url = cluster.create("shared")

        def shared(settings: dict[str, Any]) -> None:
            settings["store"] = {"url": url}
            settings["tokens"]["hsm"]["sessions"] = 4
            settings["policies"][0]["push"]["immutable_tags"] = ["v*"]

        with served(tmp_path / "one", upstream, shared) as one, served(tmp_path / "two", upstream, shared) as other:
            token = yaml.safe_load(one.config.read_text())["tokens"]["hsm"]
            token["pin"] = {"file": str(one.folder / "secrets" / "pin")}
            urls = [f"http://{one.host}", f"http://{other.host}"]
            other.edit(lambda settings: settings["tokens"].update(hsm=token))
            for server in (one, other):
                server.edit(lambda settings: settings["server"].update(public_urls=urls))
                server.start()
            yield Two((one, other), cluster, url.partition("host=")[2])


async def named(upstream: Caller, digest: str) -> list[str]:
    """The tags that the `.sig` of this image names."""
    found = await upstream.ask(
        "GET", f"/v2/{REPOSITORY}/manifests/{digest.replace(':', '-')}.sig", headers={"Accept": OCI_MANIFEST}
    )
    if found.status == 404:
        return []
    names = []
    for layer in json.loads(found.body)["layers"]:
        payload = json.loads((await upstream.ask("GET", f"/v2/{REPOSITORY}/blobs/{layer['digest']}")).body)
        names.append(payload["critical"]["identity"]["docker-reference"].rpartition("/")[2].partition(":")[2])
    return sorted(name for name in names if name)


async def under(upstream: Caller, tag: str) -> str:
    """The digest that upstream has under this tag."""
    accept = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"}
    return (await upstream.ask("HEAD", f"/v2/{REPOSITORY}/manifests/{tag}", headers=accept)).headers[
        "docker-content-digest"
    ]


@pytest.mark.real
@pytest.mark.skipif(postgres_programs() is None, reason=MISSING)
async def test_fifty_rounds_of_two_servers_on_one_tag_are_none_wrong(two: Two) -> None:
    one, other = two.servers
    false = []
    async with caller(one.host) as first, caller(other.host) as second:
        upstream = first.at(one.upstream.host)
        await upstream.furnish(REPOSITORY)
        for n in range(50):
            bodies = image(f"a{n}"), image(f"b{n}")
            pushes = (first.push(REPOSITORY, "latest", bodies[0]), second.push(REPOSITORY, "latest", bodies[1]))
            replies = await asyncio.gather(*pushes)
            refused = two.rows("SELECT detail FROM journal WHERE kind LIKE 'push.%%' AND reason <> ''")
            assert [reply.status for reply in replies] == [201, 201], (n, refused)
            for _ in range(200):  # what named the tag elsewhere goes beside the push
                if not two.rows("SELECT 1 FROM tags WHERE moving_to IS NOT NULL OR holder IS NOT NULL"):
                    break
                await asyncio.sleep(0.05)
            winner = await under(upstream, "latest")
            for digest in map(digest_of, bodies):
                expected = ["latest"] if digest == winner else []
                if await named(upstream, digest) != expected:
                    false.append(f"round {n}: {digest[:19]} is named {await named(upstream, digest)}")
        assert false == []
        assert two.rows("SELECT digest FROM tags WHERE tag = 'latest'") == [(winner,)]
        assert two.rows("SELECT tag FROM tags WHERE tag LIKE 'sha256-%%'") == [], "a lock leaves no row"


@pytest.mark.real
@pytest.mark.skipif(postgres_programs() is None, reason=MISSING)
async def test_twentyfive_new_immutable_tags_on_two_servers_have_one_image_each(two: Two) -> None:
    one, other = two.servers
    async with caller(one.host) as first, caller(other.host) as second:
        upstream = first.at(one.upstream.host)
        await upstream.furnish(REPOSITORY)
        for n in range(25):
            bodies = image(f"a{n}"), image(f"b{n}")
            pushes = (first.push(REPOSITORY, f"v{n}", bodies[0]), second.push(REPOSITORY, f"v{n}", bodies[1]))
            statuses = [reply.status for reply in await asyncio.gather(*pushes)]
            assert sorted(statuses) == [201, 403]
            winner = digest_of(bodies[statuses.index(201)])
            assert await under(upstream, f"v{n}") == winner
            assert await named(upstream, winner) == [f"v{n}"]
        for n in range(10):
            body = image(f"both {n}")
            pushes = (first.push(REPOSITORY, f"x{n}", body), second.push(REPOSITORY, f"y{n}", body))
            assert [reply.status for reply in await asyncio.gather(*pushes)] == [201, 201]
            assert await named(upstream, digest_of(body)) == [f"x{n}", f"y{n}"], "two tags of one image"
