"""Everything is signed again after a compromise, by a real server that is killed in the middle of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.caller import caller, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY, IMAGES, KILLS = "many/app", 60, 3


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        yield made


def told(proxy: Served, *words: str) -> Any:
    """What a command prints as JSON."""
    ran = proxy(*words, "-o", "json")
    assert ran.status == 0, ran.output
    return json.loads(ran.stdout)


async def test_killed_again_and_again_it_goes_on_and_signs_nothing_twice(proxy: Served) -> None:
    proxy.start()
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        for number in range(IMAGES):
            assert (await client.push(REPOSITORY, f"t{number}", image())).status == 201
        key = next(k for k in told(proxy, "keys", "list")["keys"] if k["profile"] == "release")
        changed = proxy("keys", "compromise", key["fingerprint"], "--rotate", "--reason", "copied", "--yes")
        assert changed.status == 0, changed.output
        assert (await client.pull(REPOSITORY, "t0")).status == 403
        job = told(proxy, "keys", "resign", "release", "--reason", "copied", "--yes", "--no-wait")["id"]

        def further(than: int) -> bool:
            return int(told(proxy, "jobs", "show", job)["done"]) > than

        for kill in range(KILLS):
            before = IMAGES * kill // (KILLS + 1)
            await asyncio.to_thread(proxy.until, partial(further, before), "the job does not go on", 60)
            proxy.kill()
            proxy.start()
        ended = await asyncio.to_thread(proxy, "jobs", "watch", job, "-o", "json")
        assert ended.status == 0, ended.output
        shown = json.loads(ended.stdout)
        assert (shown["state"], shown["done"], shown["total"]) == ("done", IMAGES, IMAGES)
        assert (shown["result"]["failed"], shown["result"]["gone"]) == (0, 0)
        for number in range(IMAGES):
            assert (await client.pull(REPOSITORY, f"t{number}")).status == 200
    rows = proxy.rows("SELECT digest, format, bound, stage FROM ledger WHERE fingerprint != ?", key["fingerprint"])
    mine = [row for row in rows if row[0] in {r[0] for r in proxy.rows("SELECT digest FROM ledger")}]
    assert {row[3] for row in mine} == {"attached"}
    made = "SELECT COUNT(*) FROM journal WHERE kind = 'signature.made' AND detail LIKE ?"
    ((count,),) = proxy.rows(made, f"%{_active(proxy)}%")
    assert count == len(mine), "nothing twice"
    assert [kind for (kind,) in proxy.rows("SELECT kind FROM journal WHERE kind LIKE 'job.%' ORDER BY position")] == [
        "job.queued", "job.ended",
    ]  # fmt: skip
    assert proxy.leave() == 0


def _active(proxy: Served) -> str:
    keys = told(proxy, "keys", "list")["keys"]
    return str(next(k["fingerprint"] for k in keys if k["profile"] == "release" and k["state"] == "active"))
