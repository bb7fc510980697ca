from __future__ import annotations

import pytest

from proxy.oci.operation import CheckApi, ListRepositories, ListTags
from tests.worlds.conversation import REPO, user, world
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry, Said


async def test_named_headers_there_and_named_headers_back() -> None:
    w = await world()
    said = Said(200, (("content-type", "application/json"), ("set-cookie", "a=b"), ("server", "x"), ("link", "<l>")))
    w.registry.hooks.append(lambda _: said)
    answer = await w.say(ListRepositories(), user("alice"), accept="application/json", cookie="c=d", x_secret="s")
    assert dict(answer.headers) == {"content-type": "application/json", "link": "<l>"}
    (seen,) = w.registry.seen
    assert seen.headers == (("accept", "application/json"),)
    assert seen.authorization == user("alice").authorization


async def test_lists_are_upstreams_own() -> None:
    w = await world()
    w.put_behind(image(), "team/app", "v1")
    repositories = await w.say(ListRepositories())
    assert repositories.relayed is not None
    assert b'"team/app"' in await repositories.relayed.read(1000)
    assert (await w.say(CheckApi())).status == 200


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_ends_the_right_to_read(status: int) -> None:
    w = await world(registry=MemoryRegistry())
    await w.push(image(), "team/app", "v1")
    await w.pull("team/app", "v1", user("a"))
    assert w.ports.rights.may_read(REPO, user("a"))
    w.registry.fail(ListTags, status)
    assert (await w.say(ListTags(REPO), user("a"))).status == status
    assert not w.ports.rights.may_read(REPO, user("a"))
