"""Crowds at the real server: fifty push one digest, two hundred tags point at one, many repositories at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry
from tests.interop.verifiers import Verifiers

pytestmark = pytest.mark.real
CROWD, TAGS, BOUND = 50, 200, 32


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("crowd")
    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream, faulty=True) as made:
        made.start()
        yield made
        assert made.leave() == 0


@pytest.fixture
async def client(proxy: Served) -> AsyncIterator[Caller]:
    async with caller(proxy.host) as client:
        yield client


async def test_fifty_pushes_of_one_digest_cost_one_signature_each(proxy: Served, client: Caller) -> None:
    body = image()
    behind = client.at(proxy.upstream.host)
    await behind.furnish("crowd/one")
    before = proxy.token.seen("sign")
    replies = await asyncio.gather(*(client.push("crowd/one", "v1", body) for _ in range(CROWD)))
    assert Counter(reply.status for reply in replies) == {201: CROWD}
    rows = proxy.rows("SELECT format, bound, stage FROM ledger WHERE repository = 'crowd/one'")
    name = f"{proxy.host}/crowd/one"
    assert sorted(rows) == [
        ("cosign-simple", name, "attached"),
        ("cosign-simple", f"{name}:v1", "attached"),
        ("sigstore-bundle", name, "attached"),
    ]
    assert proxy.token.seen("sign") == before + len(rows)
    assert len(await behind.signatures("crowd/one", digest_of(body))) == 2
    assert len(await behind.bundles("crowd/one", digest_of(body))) == 1
    assert (await client.push("crowd/one", "v1", body)).status == 201
    assert proxy.token.seen("sign") == before + len(rows)


async def test_fifty_images_pushed_at_once_into_one_repository_are_all_signed(proxy: Served, client: Caller) -> None:
    bodies = {f"v{n}": image() for n in range(CROWD)}
    await client.at(proxy.upstream.host).furnish("crowd/many")
    replies = await asyncio.gather(*(client.push("crowd/many", tag, body) for tag, body in bodies.items()))
    assert Counter(reply.status for reply in replies) == {201: CROWD}, Counter(r.body for r in replies)
    pulled = await asyncio.gather(*(client.pull("crowd/many", tag) for tag in bodies))
    assert [reply.body for reply in pulled] == list(bodies.values())


async def test_two_hundred_tags_keep_the_list_bounded_and_the_newest_verifies(
    proxy: Served, client: Caller, tmp_path: Path
) -> None:
    body = image()
    behind = client.at(proxy.upstream.host)
    await behind.furnish("crowd/tags")
    for start in range(0, TAGS, 20):
        crowd = [client.push("crowd/tags", f"t{n}", body) for n in range(start, start + 20)]
        replies = await asyncio.gather(*crowd)
        assert {reply.status for reply in replies} == {201}, replies
    assert (await client.push("crowd/tags", "newest", body)).status == 201
    there = await behind.signatures("crowd/tags", digest_of(body))
    assert len(there) <= BOUND
    assert f"{proxy.host}/crowd/tags" in {bound for bound, _ in there}
    assert f"{proxy.host}/crowd/tags:newest" in {bound for bound, _ in there}
    assert len(await behind.bundles("crowd/tags", digest_of(body))) == 1
    pulled = await asyncio.gather(*(client.pull("crowd/tags", f"t{n}") for n in range(TAGS)))
    assert {reply.status for reply in pulled} == {200}
    verifiers = Verifiers(proxy.host, proxy.key, tmp_path / "verifiers")
    for version in (3, 2):
        said = verifiers.cosign("crowd/tags:newest", version=version)
        assert said.status == 0, said.output
    assert json.loads((await client.ask("GET", "/v2/crowd/tags/tags/list")).body)["tags"]
