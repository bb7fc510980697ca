"""The key goes from the token while the server runs, and comes back: everything says so, and nobody has to help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.caller import Caller, caller, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"


def quick(settings: dict[str, Any]) -> None:
    settings["limits"] = {"sign_deadline_s": 5}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("vanishes")
    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream, quick) as made:
        yield made


@pytest.fixture
def proxy(made: Served) -> Iterator[Served]:
    made.start()
    made.until(lambda: made.metric("countersign_signing_healthy") == 1, "it does not sign")
    yield made
    assert made.leave() == 0
    made.close()


async def one_push_says_it(proxy: Served, client: Caller) -> str:
    """One push fails; status, metrics, log and journal say so. The id of the problem."""
    pushed = await client.push(REPOSITORY, "vanished", image())
    assert pushed.status == 403, pushed
    assert proxy.metric("countersign_signing_healthy") == 0
    (problem,) = proxy.problems()
    assert problem["severity"] == "error"
    assert problem["since"]
    assert problem["stops"] == "pushes that must be signed; pulls go on"
    assert problem["next"].startswith("countersign ")
    said = proxy("status")
    assert (said.status, "WRONG: " in said.stdout) == (1, True)
    proxy.until(lambda: rows(proxy, "problem.began"), "the journal does not say so")
    assert '"level": "error"' in (proxy.folder / "serve.log").read_text()
    assert (await client.pull(REPOSITORY, "known")).status == 200
    return problem["id"]


def rows(proxy: Served, kind: str) -> list[dict[str, Any]]:
    found = proxy.rows("SELECT detail FROM journal WHERE kind = ? ORDER BY position", kind)
    return [json.loads(detail) for (detail,) in found]


async def known(proxy: Served, client: Caller) -> None:
    await client.at(proxy.upstream.host).furnish(REPOSITORY)
    assert (await client.push(REPOSITORY, "known", image("known"))).status == 201


async def recovers(proxy: Served, client: Caller) -> None:
    """Without hands: the next pushes are signed, and nothing is wrong any more."""
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "it did not recover by itself", 45)
    for number in range(6):  # more than there are sessions
        pushed = await client.push(REPOSITORY, f"back-{number}", image())
        assert pushed.status == 201, pushed
    assert proxy.problems() == []
    proxy.until(lambda: len(rows(proxy, "problem.ended")) == len(rows(proxy, "problem.began")), "no end of it is told")


async def test_the_token_s_files_are_moved_away_and_back(proxy: Served) -> None:
    async with caller(proxy.host) as client:
        await known(proxy, client)
        token, away = proxy.folder / "token", proxy.folder / "token.away"
        token.rename(away)
        try:
            await one_push_says_it(proxy, client)
        finally:
            away.rename(token)
        await recovers(proxy, client)


async def test_the_key_s_objects_are_deleted_and_restored(proxy: Served) -> None:
    async with caller(proxy.host) as client:
        await known(proxy, client)
        objects = {path: path.read_bytes() for path in (proxy.folder / "token").rglob("*.object")}
        keys = {path: body for path, body in objects.items() if path.name != "token.object"}
        assert keys
        for path in keys:
            path.unlink()
        try:
            assert await one_push_says_it(proxy, client) == "key_fails"
            (problem,) = proxy.problems()
            assert "countersign keys lost " in problem["next"]
        finally:
            for path, body in keys.items():
                path.write_bytes(body)
        await recovers(proxy, client)
