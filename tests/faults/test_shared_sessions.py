"""Two servers on one PostgreSQL and one token never have more sessions than the token is said to have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.caller import caller, image
from tests.faults.served import Served, alive, served
from tests.interop.registries import docker_registry
from tests.worlds.postgres import MISSING, postgres_cluster, postgres_programs

pytestmark = [pytest.mark.real, pytest.mark.skipif(postgres_programs() is None, reason=MISSING)]
SESSIONS = 3


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    with docker_registry(tmp_path / "upstream") as upstream, postgres_cluster() as cluster:
        url = cluster.create("shared")

        def shared(settings: dict[str, Any]) -> None:
            settings["store"] = {"url": url}
            settings["tokens"]["hsm"]["sessions"] = SESSIONS

        with served(tmp_path / "one", upstream, shared) as one, served(tmp_path / "two", upstream, shared) as two:
            token = yaml.safe_load(one.config.read_text())["tokens"]["hsm"]
            token["pin"] = {"file": str(one.folder / "secrets" / "pin")}
            two.edit(lambda settings: settings["tokens"].update(hsm=token))
            yield one, two


def counted(*servers: Served) -> int:
    """How many processes hold the token now."""
    return sum(alive(pid) for server in servers for pid in server.children())


def healthy(server: Served) -> bool:
    return server.metric("countersign_signing_healthy") == 1


async def test_all_servers_together_respect_the_number_of_sessions(two: tuple[Served, Served]) -> None:
    one, other = two
    one.start()
    one.until(lambda: counted(one) == SESSIONS, "alone it has all sessions")
    other.launch()
    most, until = 0, time.monotonic() + 40
    while not (counted(other) and counted(one, other) == SESSIONS) and time.monotonic() < until:
        most = max(most, counted(one, other))
        await asyncio.sleep(0.01)
    assert most <= SESSIONS
    assert sorted((counted(one), counted(other))) == [1, 2]
    other.until(lambda: other.ready() == 200, "it serves", 40)
    for server in (one, other):
        server.until(partial(healthy, server), "it does not sign", 40)
        async with caller(server.host) as client:
            await client.at(server.upstream.host).furnish("team/app")
            assert (await client.push("team/app", f"by-{server.folder.name}", image())).status == 201

    other.kill()
    one.until(lambda: counted(one) == SESSIONS, "what the killed one held comes back", 40)
    assert one.leave() == 0
