"""ATTACK 37: denials and compromised keys reach every server within a second, whatever is stuck; who cannot know stops.

Two servers on one PostgreSQL and one token. Server `a` reaches the database by a way that can fall silent.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from proxy.store.engines import APART
from tests.faults.caller import Caller, Heard, caller, digest_of, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry
from tests.worlds.between import Between, between
from tests.worlds.postgres import MISSING, Cluster, postgres_cluster, postgres_programs

pytestmark = [pytest.mark.real, pytest.mark.skipif(postgres_programs() is None, reason=MISSING)]
REPOSITORY, SECOND = "team/app", 1.0
SIGN_S, PULL_S = 4.0, 8.0


@dataclass
class Two:
    """Two servers and the database they share; `way` leads `a` there."""

    a: Served
    b: Served
    cluster: Cluster
    way: Between
    directory: str

    def connect(self) -> psycopg.Connection[Any]:
        """Somebody else's connection to the database."""
        return psycopg.connect(host=self.directory, user="postgres", dbname="shared", autocommit=True)

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the store answers."""
        with self.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()

    def order(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        """What the admin API of `b` answers to this; the first token of the store is the one of `a`."""
        token = (self.a.folder / "secrets" / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url, data = f"http://{self.b.admin}/admin/v1{path}", json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as reply:
            answer: dict[str, Any] = json.loads(reply.read())
        return answer

    def deny(self, digest: str) -> None:
        """At `b` this is denied."""
        self.order("/denials", {"target": digest, "reason": "CVE"})

    def compromise(self) -> str:
        """At `b` the key that signs is declared compromised and replaced; returned is the old one."""
        keys = json.loads(self.b("keys", "list", "-o", "json").stdout)["keys"]
        (key,) = [k["fingerprint"] for k in keys if k["profile"] == "release" and k["state"] == "active"]
        self.order(f"/keys/{key}/compromise", {"reason": "stolen", "rotate": True})
        return str(key)

    @contextmanager
    def stuck_policies(self) -> Iterator[None]:
        """Whoever reads the policies waits, on both servers, and both have to."""
        with self.connect() as holder, self.connect() as other:
            holder.execute("BEGIN")
            holder.execute("LOCK TABLE policy_revisions IN ACCESS EXCLUSIVE MODE")
            other.execute("UPDATE versions SET number = number + 1 WHERE name = 'policy'")
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'policy_revisions'::regclass"
            until(lambda: other.execute(waiting).fetchall()[0][0] >= 2)
            yield
            holder.execute("ROLLBACK")


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """It has become true."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it never came to that"
        time.sleep(0.05)


def older(server: Served, seconds: float) -> bool:
    """It has not read denials and keys for longer."""
    return server.metric("countersign_books_age_seconds") > seconds


def younger(server: Served, seconds: float) -> bool:
    """It has read them since."""
    return server.metric("countersign_books_age_seconds") < seconds


async def late(attempt: Callable[[], Awaitable[Heard]], reason: str) -> float:
    """After how many seconds this is blocked for that reason."""
    began = time.monotonic()
    while reason not in (heard := await attempt()).reason:
        assert time.monotonic() - began < 30, (heard.status, heard.reason, heard.body)
        await asyncio.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    tmp_path = tmp_path_factory.mktemp("two")
    with docker_registry(tmp_path / "upstream") as upstream, postgres_cluster() as cluster:
        url = cluster.create("shared")
        directory = url.partition("host=")[2]
        with between(Path(directory)) as (way, here):

            def shared(settings: dict[str, Any]) -> None:
                settings["store"], settings["policies_from"] = {"url": url}, "api"
                settings["tokens"]["hsm"]["sessions"] = 4
                settings["limits"] = {"books_sign_s": SIGN_S, "books_pull_s": PULL_S}

            def its_own_way(settings: dict[str, Any]) -> None:
                shared(settings)
                settings["store"] = {"url": f"postgresql://postgres@/shared?host={here}"}

            with served(tmp_path / "a", upstream, its_own_way) as a, served(tmp_path / "b", upstream, shared) as b:
                token = yaml.safe_load(a.config.read_text())["tokens"]["hsm"]
                token["pin"] = {"file": str(a.folder / "secrets" / "pin")}
                b.edit(lambda settings: settings["tokens"].update(hsm=token))
                for each in (a, b):
                    each.edit(lambda s: s["server"].update(public_urls=[f"http://{a.host}", f"http://{b.host}"]))
                a.start()
                b.start()
                yield Two(a, b, cluster, way, directory)


async def pushed(client: Caller, tag: str) -> str:
    body = image()
    heard = await client.push(REPOSITORY, tag, body)
    assert heard.status == 201, heard.body
    return digest_of(body)


async def taken(client: Caller) -> None:
    """It takes pushes again: first it needs a session of the token, as another server has had them all meanwhile."""
    ends = time.monotonic() + 60
    while (heard := await client.push(REPOSITORY, "again", image())).status != 201:
        assert time.monotonic() < ends, heard.body
        await asyncio.sleep(0.2)


async def test_a_server_whose_policies_are_stuck_learns_of_denials_and_keys_within_a_second(two: Two) -> None:
    async with caller(two.a.host) as client:
        await client.at(two.a.upstream.host).furnish(REPOSITORY)
        bad = await pushed(client, "bad")
        await pushed(client, "good")
        with two.stuck_policies():
            text = two.a.folder / "new.yaml"
            text.write_text(two.a("policy", "show").stdout + "# new\n")
            change = threading.Thread(
                target=lambda: two.a("policy", "apply", str(text), "--base", "1", "--reason", "r", "--yes")
            )
            change.start()
            await asyncio.to_thread(two.deny, bad)
            assert await late(lambda: client.pull(REPOSITORY, "bad"), "denied_digest") < SECOND
            old = await asyncio.to_thread(two.compromise)
            assert await late(lambda: client.pull(REPOSITORY, "good"), "key_compromised") < SECOND
            new = await pushed(client, "new")
        by = {key for (key,) in two.rows("SELECT fingerprint FROM ledger WHERE digest = %s", new)}
        assert by
        assert old not in by
        await asyncio.to_thread(change.join)


async def test_a_server_cut_off_from_the_database_stops_signing_then_serving_and_says_so(two: Two) -> None:
    async with caller(two.a.host) as client, caller(two.b.host) as other:
        await client.at(two.a.upstream.host).furnish(REPOSITORY)
        bad = await pushed(client, "bad")
        await pushed(client, "good")
        for tag in ("bad", "good"):
            assert (await client.pull(REPOSITORY, tag)).status == 200
        said = len((two.a.folder / "serve.log").read_text())
        with two.way.silent():
            await asyncio.to_thread(two.deny, bad)
            assert (await other.pull(REPOSITORY, "bad")).status == 403
            await asyncio.to_thread(until, partial(older, two.a, SIGN_S))
            problems = await asyncio.to_thread(two.a.problems)
            (problem,) = [each for each in problems if each["id"] == "books"]
            assert problem["next"].startswith("countersign doctor --config ")
            assert problem["stops"].startswith("pushes and signing")
            heard = await client.push(REPOSITORY, "late", image())
            assert (heard.status, "the record of what was signed" in heard.message) == (
                403,
                True,
            ), heard.body
            await asyncio.to_thread(until, partial(older, two.a, PULL_S))
            for tag in ("bad", "good"):
                heard = await client.pull(REPOSITORY, tag)
                assert (heard.status, "not_verifiable" in heard.reason) == (403, True), heard.body
            assert (await other.pull(REPOSITORY, "good")).status == 200
        await late(lambda: client.pull(REPOSITORY, "bad"), "denied_digest")
        assert (await client.pull(REPOSITORY, "good")).status == 200
        await taken(client)
    assert not [each for each in two.a.problems() if each["id"] == "books"]
    log = (two.a.folder / "serve.log").read_text()[said:]
    assert log.count("denials and keys are not known") == 2
    assert "denials and keys are known again" in log


async def test_a_look_that_gets_no_answer_is_cut_and_made_anew_on_another_connection(two: Two) -> None:
    async with caller(two.a.host) as client:
        await client.at(two.a.upstream.host).furnish(REPOSITORY)
        bad = await pushed(client, "bad")
        looking = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        await asyncio.to_thread(until, lambda: len(two.rows(looking, APART)) == 2)  # one is perhaps made anew just now
        stopped = [pid for (pid,) in two.rows(looking, APART)]
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.to_thread(two.deny, bad)
            await late(lambda: client.pull(REPOSITORY, "bad"), "denied_digest")
            now = {pid for (pid,) in two.rows(looking, APART)} - set(stopped)
            assert now, "it has another connection"
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        await pushed(client, "good")


async def test_a_database_that_was_away_needs_no_hands_to_be_believed_again(two: Two) -> None:
    async with caller(two.a.host) as client, caller(two.b.host) as other:
        await client.at(two.a.upstream.host).furnish(REPOSITORY)
        await pushed(client, "good")
        two.cluster.stop(signal.SIGKILL)
        for server in (two.a, two.b):
            await asyncio.to_thread(until, partial(older, server, SIGN_S))
        for each in (client, other):
            heard = await each.push(REPOSITORY, "late", image())
            assert (heard.status, "the record of what was signed" in heard.message) == (
                403,
                True,
            ), heard.body
            assert two.directory not in heard.message
            assert "refused" not in heard.message
        two.cluster.start()
        for server in (two.a, two.b):
            await asyncio.to_thread(until, partial(younger, server, SIGN_S))
        for each in (client, other):
            await taken(each)
            assert (await each.pull(REPOSITORY, "good")).status == 200
