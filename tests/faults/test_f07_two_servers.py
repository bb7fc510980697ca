"""Fault 7: two servers on one PostgreSQL and one token. A change of a key in one holds in the other within a second."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry
from tests.worlds.postgres import MISSING, Cluster, postgres_cluster, postgres_programs

pytestmark = [pytest.mark.real, pytest.mark.skipif(postgres_programs() is None, reason=MISSING)]
REPOSITORY, SECOND = "load/app", 1.0
ROTATIONS = 4


@dataclass
class Two:
    """Two servers that share everything but their listeners, and the database they share."""

    servers: tuple[Served, Served]
    cluster: Cluster
    directory: str
    pushed: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    over: bool = False

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the store answers."""
        with psycopg.connect(host=self.directory, user="postgres", dbname="shared", autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def active(self, server: Served) -> str:
        """The fingerprint of the key that signs, as that server has it."""
        keys = json.loads(server("keys", "list", "-o", "json").stdout)["keys"]
        (key,) = [k["fingerprint"] for k in keys if k["profile"] == "release" and k["state"] == "active"]
        return str(key)

    async def push(self, client: Caller, name: str) -> None:
        """Push and pull one image after the other, each by tag, until it is over."""
        for number in itertools.count():
            if self.over:
                return
            tag, body = f"{name}-{number}", image()
            reply = await client.push(REPOSITORY, tag, body)
            if reply.status != 201:
                self.failed.append(f"push {tag}: {reply.status} {reply.body[:300]!r}")
                continue
            self.pushed[tag] = digest_of(body)
            pulled = await client.pull(REPOSITORY, tag)
            if pulled.status != 200:
                self.failed.append(f"pull {tag}: {pulled.status} {pulled.body[:300]!r}")

    def unsigned(self) -> list[str]:
        """The tags that are not signed and attached, for the repository and for the tag."""
        rows = self.rows("SELECT digest, bound FROM ledger WHERE format = 'cosign-simple' AND stage = 'attached'")
        host = self.servers[0].host
        own = {
            (digest, f"{host}/{REPOSITORY}{suffix}")
            for tag, digest in self.pushed.items()
            for suffix in ("", f":{tag}")
        }
        return [f"{digest} {bound}" for digest, bound in own - {(d, b) for d, b in rows}]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with docker_registry(tmp_path / "upstream") as upstream, postgres_cluster() as cluster:
        url = cluster.create("shared")

        def shared(settings: dict[str, Any]) -> None:
            settings["store"] = {"url": url}
            settings["tokens"]["hsm"]["sessions"] = 4

        with served(tmp_path / "one", upstream, shared) as one, served(tmp_path / "two", upstream, shared) as other:
            token = yaml.safe_load(one.config.read_text())["tokens"]["hsm"]
            token["pin"] = {"file": str(one.folder / "secrets" / "pin")}
            urls = [f"http://{one.host}", f"http://{other.host}"]
            other.edit(lambda settings: settings["tokens"].update(hsm=token))
            for server in (one, other):
                server.edit(lambda settings: settings["server"].update(public_urls=urls))
            yield Two((one, other), cluster, url.partition("host=")[2])


async def test_rotations_under_load_fail_nothing_and_hold_in_both_within_a_second(two: Two) -> None:
    for server in two.servers:
        server.start()
    one, other = two.servers
    async with caller(one.host) as first, caller(other.host) as second:
        await first.at(one.upstream.host).furnish(REPOSITORY)
        workers = [asyncio.create_task(two.push(c, f"w{n}")) for n, c in enumerate((first, second, first, second))]
        keys = [two.active(one)]
        for number in range(ROTATIONS):
            await asyncio.sleep(0.5)
            here, there = two.servers[number % 2], second if number % 2 == 0 else first
            how = ["--overlap", "dual-sign:1h"] if number == ROTATIONS - 1 else []
            done = await asyncio.to_thread(
                here, "keys", "rotate", "release", *how, "--reason", "Tuesday", "--yes", "-o", "json"
            )
            assert done.status == 0, done.output
            keys.append(json.loads(done.stdout)["new"]["fingerprint"])
            await asyncio.sleep(SECOND)
            body = image()
            assert (await there.push(REPOSITORY, f"after-{number}", body)).status == 201
            by = {k for (k,) in two.rows("SELECT fingerprint FROM ledger WHERE digest = %s", digest_of(body))}
            assert by == {keys[-1], *(keys[-2:-1] if how else [])}
        two.over = True
        await asyncio.gather(*workers)
        assert two.failed == []
        assert two.unsigned() == []
        assert len(two.pushed) > ROTATIONS
        for tag in two.pushed:
            assert (await second.pull(REPOSITORY, tag)).status == 200
            assert (await first.pull(REPOSITORY, tag)).status == 200

        bad, tag = keys[1], "stolen"
        signed_by = dict(two.rows("SELECT digest, fingerprint FROM ledger WHERE fingerprint = %s", bad))
        tag = next(tag for tag, digest in two.pushed.items() if digest in signed_by)
        done = await asyncio.to_thread(one, "keys", "compromise", bad, "--reason", "stolen", "--yes")
        assert done.status == 0, done.output
        answered = time.monotonic()
        while (await second.pull(REPOSITORY, tag)).status == 200:
            assert time.monotonic() - answered < SECOND, "the other server goes on to trust it"
            await asyncio.sleep(0.02)
        assert (await second.pull(REPOSITORY, tag)).status == 403
    assert [server.leave() for server in two.servers] == [0, 0]


async def made_by_schedule(two: Two, count: int) -> list[datetime]:
    """When so many keys were made by the schedule, at what moments; whoever takes over waits for a lease to run out."""
    async with asyncio.timeout(120):
        while True:
            made = two.rows("SELECT at, who, how FROM journal WHERE kind = 'key.created' ORDER BY position")
            at = [datetime.fromisoformat(at) for at, who, how in made if (who, how) == ("countersign", "schedule")]
            if len(at) >= count:
                return at
            await asyncio.sleep(0.2)


async def test_a_schedule_is_kept_once_by_two_servers_of_which_one_is_killed(two: Two) -> None:
    every = 4.0

    def often(settings: dict[str, Any]) -> None:
        settings["keys"]["release"] |= {
            "rotate_every": f"{int(every)}s", "announce": "1s", "retire_after": "3s", "overlap": "dual-sign:2s",
        }  # fmt: skip

    for server in two.servers:
        server.edit(often)
        server.start()
    one, other = two.servers
    async with caller(one.host) as first, caller(other.host) as second:
        await first.at(one.upstream.host).furnish(REPOSITORY)
        workers = [asyncio.create_task(two.push(second, f"w{n}")) for n in range(2)]
        await made_by_schedule(two, 2)
        one.kill()
        scheduled = await made_by_schedule(two, 4)
        two.over = True
        await asyncio.gather(*workers)
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(scheduled)]
    assert all(gap >= every - 0.01 for gap in gaps), "no period has two rotations"
    moves = [
        json.loads(d) for (d,) in two.rows("SELECT detail FROM journal WHERE kind = 'key.state' ORDER BY position")
    ]
    for state in ("active", "retired"):
        keys = [move["key"] for move in moves if move["to"] == state]
        assert keys
        assert len(keys) == len(set(keys)), f"a key became {state} twice"
    assert two.failed == []
    assert two.unsigned() == []
    assert other.leave() == 0
