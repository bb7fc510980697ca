"""Every kind of problem, made to happen: status, metrics, log and journal say it, and that it is gone again."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from deploy.layouts import digest_of
from proxy.journal.problem import ProblemId
from tests.faults.caller import Caller, caller, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
REPOSITORY = "team/app"
AGREED = ("--reason", "drill", "--yes")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("problems")
    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream) as made:
        yield made


@pytest.fixture
def proxy(made: Served) -> Iterator[Served]:
    made.start()
    made.until(lambda: made.metric("countersign_signing_healthy") == 1, "it does not sign")
    yield made
    assert made.leave() == 0
    made.close()


@asynccontextmanager
async def keys_gone(proxy: Served, client: Caller) -> AsyncIterator[None]:
    keys = [p for p in (proxy.folder / "token").rglob("*.object") if p.name != "token.object"]
    bodies = {path: path.read_bytes() for path in keys}
    for path in bodies:
        path.unlink()
    try:
        await client.push(REPOSITORY, "any", image())
        yield
    finally:
        for path, body in bodies.items():
            path.write_bytes(body)


@asynccontextmanager
async def away_at_start(proxy: Served, _: Caller) -> AsyncIterator[None]:
    token, away = proxy.folder / "token", proxy.folder / "token.away"
    assert proxy.leave() == 0
    token.rename(away)
    try:
        proxy.start()
        yield
    finally:
        away.rename(token)


def opened(proxy: Served, *more: str) -> str:
    done = proxy("exceptions", "open", "--repository", REPOSITORY, "--for", "30m", *more, *AGREED, "-o", "json")
    assert done.status == 0, done.output
    return str(json.loads(done.stdout)["id"])


def ended(proxy: Served, opened: str) -> None:
    for words in (("close", opened, "--reason", "drill"), ("review", opened, "--reason", "a drill")):
        done = proxy("exceptions", *words)
        assert done.status == 0, done.output


@asynccontextmanager
async def owing(proxy: Served, client: Caller) -> AsyncIterator[None]:
    async with keys_gone(proxy, client):
        exception = opened(proxy, "--allow-unsigned-push")
        assert (await client.push(REPOSITORY, "owed", image())).status == 201
        ended(proxy, exception)
        yield


@asynccontextmanager
async def exception_open(proxy: Served, _: Caller) -> AsyncIterator[None]:
    exception = opened(proxy)
    yield
    ended(proxy, exception)


@asynccontextmanager
async def exception_closed(proxy: Served, _: Caller) -> AsyncIterator[None]:
    exception = opened(proxy)
    assert proxy("exceptions", "close", exception, "--reason", "drill").status == 0
    yield
    assert proxy("exceptions", "review", exception, "--reason", "a drill").status == 0


@asynccontextmanager
async def journal_locked(proxy: Served, client: Caller) -> AsyncIterator[None]:
    with closing(sqlite3.connect(proxy.folder / "countersign.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert (await client.pull(REPOSITORY, "known")).status == 200
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def reloaded(proxy: Served, change: Callable[[dict[str, Any]], None]) -> AsyncIterator[None]:
    before = proxy.config.read_bytes()
    proxy.edit(change)
    proxy.signal(signal.SIGHUP)
    try:
        yield
    finally:
        proxy.config.write_bytes(before)
        proxy.signal(signal.SIGHUP)


def refused(proxy: Served, _: Caller) -> AbstractAsyncContextManager[None]:
    return reloaded(proxy, lambda settings: settings.update(nonsense=1))


def without_a_chain(proxy: Served, _: Caller) -> AbstractAsyncContextManager[None]:
    def change(settings: dict[str, Any]) -> None:
        settings["policies"][0]["push"]["formats"] = ["cosign-simple", "notation-jws"]

    return reloaded(proxy, change)


@asynccontextmanager
async def tag_kept(proxy: Served, client: Caller) -> AsyncIterator[None]:
    """A mirror keeps an image under its own digest, where our list of what refers to it belongs."""
    digest = digest_of(image("known"))
    assert (await client.push(REPOSITORY, digest.replace(":", "-"), image("known"))).status == 201
    yield
    assert (await client.ask("DELETE", f"/v2/{REPOSITORY}/manifests/{digest}")).status == 202


Making = Callable[[Served, Caller], AbstractAsyncContextManager[None]]
MADE: Mapping[ProblemId, Making] = {
    ProblemId.TOKEN_AWAY: away_at_start,
    ProblemId.KEY_FAILS: keys_gone,
    ProblemId.UNSIGNED_PUSHES: owing,
    ProblemId.EXCEPTION_OPEN: exception_open,
    ProblemId.EXCEPTION_UNREVIEWED: exception_closed,
    ProblemId.JOURNAL: journal_locked,
    ProblemId.CONFIGURATION: refused,
    ProblemId.CHAIN_MISSING: without_a_chain,
    ProblemId.TAGS_KEPT: tag_kept,
}
# Those that need a second token, and those that need another server or days to pass.
ELSEWHERE = {
    ProblemId.UPSTREAM: "tests/faults/test_f05_outage.py",
    ProblemId.ACCOUNT: "tests/faults/test_f05_our_account.py",
    ProblemId.KEY_NOT_MADE: "tests/faults/test_f02_key_vanishes_standby.py",
    ProblemId.STANDBY: "tests/faults/test_f02_key_vanishes_standby.py",
    ProblemId.KEY_TIMES: "tests/unit/server/problems/test_health.py",
    ProblemId.POLICIES: "tests/unit/policies/test_in_force.py",
    ProblemId.BOOKS: "tests/unit/server/problems/test_staleness.py",
    ProblemId.REVOCATION_LIST: "tests/unit/server/test_revocation_lists.py",
    ProblemId.ENDED: "tests/unit/server/problems/test_expiry_watch.py",
}


def counted(proxy: Served) -> dict[str, float]:
    """How many of each kind the metric shows."""
    with urllib.request.urlopen(f"http://{proxy.admin}/metrics", timeout=5) as reply:
        found = re.findall(r'^countersign_problems\{id="(\w+)",severity="\w+"\} (\S+)$', reply.read().decode(), re.M)
    return {name: float(value) for name, value in found}


def told(proxy: Served, kind: str, problem: ProblemId) -> int:
    rows = proxy.rows("SELECT detail FROM journal WHERE kind = ?", kind)
    return sum(json.loads(detail)["id"] == problem for (detail,) in rows)


def named(proxy: Served, problem: ProblemId) -> list[dict[str, str]]:
    return [each for each in proxy.problems() if each["id"] == problem]


@pytest.mark.parametrize("problem", MADE)
async def test_it_is_said_everywhere_and_gone_once_it_is_mended(proxy: Served, problem: ProblemId) -> None:
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        assert (await client.push(REPOSITORY, "known", image("known"))).status == 201
        assert proxy.problems() == []
        began, over = (told(proxy, kind, problem) for kind in ("problem.began", "problem.ended"))
        async with MADE[problem](proxy, client):
            proxy.until(lambda: named(proxy, problem), "status does not say it", 20)
            (shown, *_) = named(proxy, problem)
            assert shown["severity"] in {"error", "warning"}
            assert shown["stops"]
            assert shown["next"].startswith("countersign ")
            assert counted(proxy)[problem] >= 1
            proxy.until(lambda: f'"id": "{problem}"' in (proxy.folder / "serve.log").read_text(), "the log does not")
            mark = "[NO]" if shown["severity"] == "error" else "[!!]"
            assert f"  {mark} problem: {shown['what']}"[:60] in proxy("doctor").stdout
            if problem is not ProblemId.JOURNAL:
                proxy.until(lambda: told(proxy, "problem.began", problem) > began, "the journal does not")
        if problem is ProblemId.JOURNAL:
            assert (await client.pull(REPOSITORY, "known")).status == 200
        proxy.until(lambda: proxy.problems() == [], "it is not gone", 45)
        assert problem not in counted(proxy)
        proxy.until(
            lambda: told(proxy, "problem.ended", problem) - over == told(proxy, "problem.began", problem) - began,
            "no end of it is told",
        )


def test_no_kind_of_problem_is_left_out() -> None:
    assert {*MADE, *ELSEWHERE} == set(ProblemId)
    for problem, where in ELSEWHERE.items():
        assert f"ProblemId.{problem.name}" in (ROOT / where).read_text(), f"{where} does not look for {problem}"
