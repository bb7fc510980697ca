"""Every documented metric moves when what it tells of happens, and none is exported that is not documented."""

from __future__ import annotations

import re
import socket
import sqlite3
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.served import Served, served
from tests.faults.test_f02_every_problem import ended, keys_gone, opened
from tests.faults.test_f02_key_vanishes_standby import beside
from tests.interop.countersign import PROGRAM
from tests.interop.peers import end, must
from tests.interop.registries import docker_registry
from tests.worlds.postgres import postgres_cluster, postgres_programs

pytestmark = pytest.mark.real
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
REPOSITORY = "team/app"
AGREED = ("--reason", "drill", "--yes")
Samples = Mapping[str, Mapping[str, float]]


def scraped(proxy: Served) -> Samples:
    """What the server shows: by metric as it is documented, its samples by their names and labels."""
    with urllib.request.urlopen(f"http://{proxy.admin}/metrics", timeout=5) as reply:
        lines = reply.read().decode().splitlines()
    found: dict[str, dict[str, float]] = {}
    at = ""
    for line in lines:
        if line.startswith("# TYPE "):
            at = line.split()[2]
            if not at.endswith("_created"):
                found[at] = {}
        elif not line.startswith("#") and at in found:
            name, _, value = line.rpartition(" ")
            found[at][name] = float(value)
    return found


def moved(proxy: Served, before: Samples) -> set[str]:
    """The metrics that show something else than before."""
    return {name for name, samples in scraped(proxy).items() if samples != before[name]}


def documented() -> set[str]:
    """The metrics of docs/operations.md."""
    return set(re.findall(r"^\| `(countersign_\w+)` \|", OPERATIONS.read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("metrics")
    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream) as made:
        made.start()
        made.until(lambda: made.metric("countersign_signing_healthy") == 1, "it does not sign", 60)
        yield made


@pytest.fixture(scope="module")
def standing_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two tokens, and a key on each."""
    folder = tmp_path_factory.mktemp("standby")
    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream) as made:
        beside(made)
        must(PROGRAM, "init", made.folder, "--upstream", upstream.url)
        made.start()
        made.until(lambda: made.metric("countersign_signing_healthy") == 1, "it does not sign", 60)
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose store others may write too."""
    if postgres_programs() is None:
        pytest.skip("no PostgreSQL on this machine")
    folder = tmp_path_factory.mktemp("shared")
    with docker_registry(folder / "up") as upstream, postgres_cluster() as cluster:
        url = cluster.create("metrics")
        with served(folder / "proxy", upstream, lambda settings: settings.update(store={"url": url})) as made:
            made.start()
            yield made


@asynccontextmanager
async def pushed_and_pulled(proxy: Served, client: Caller) -> AsyncIterator[None]:
    assert (await client.push(REPOSITORY, "good", image())).status == 201
    assert (await client.pull(REPOSITORY, "good")).status == 200
    yield


@asynccontextmanager
async def half_a_layer(proxy: Served, client: Caller) -> AsyncIterator[None]:
    started = await client.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
    host, _, port = proxy.host.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sending:
        head = f"PATCH {started.headers['location']} HTTP/1.1\r\nHost: {proxy.host}\r\nContent-Length: 10\r\n\r\n"
        sending.sendall(head.encode() + b"half")
        yield
        sending.sendall(b" whole")
        assert sending.recv(20).startswith(b"HTTP/1.1 202")


@asynccontextmanager
async def excepted(proxy: Served, client: Caller) -> AsyncIterator[None]:
    exception = opened(proxy)
    assert (await client.at(proxy.upstream.host).push(REPOSITORY, "unsigned", image("unsigned"))).status == 201
    assert (await client.pull(REPOSITORY, "unsigned")).status == 200
    yield
    ended(proxy, exception)


@asynccontextmanager
async def denied(proxy: Served, client: Caller) -> AsyncIterator[None]:
    done = proxy("deny", "add", digest_of(image("bad")), *AGREED)
    assert done.status == 0, done.output
    yield


@asynccontextmanager
async def key_lost_and_glass_broken(proxy: Served, client: Caller) -> AsyncIterator[None]:
    async with keys_gone(proxy, client):
        exception = opened(proxy, "--allow-unsigned-push")
        assert (await client.push(REPOSITORY, "owed", image())).status == 201
        yield
        ended(proxy, exception)
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "it does not sign again", 45)


@asynccontextmanager
async def store_locked(proxy: Served, client: Caller) -> AsyncIterator[None]:
    assert (await client.at(proxy.upstream.host).push(REPOSITORY, "unknown", image("unknown"))).status == 201
    with closing(sqlite3.connect(proxy.folder / "countersign.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert (await client.pull(REPOSITORY, "unknown")).status == 403
        other.execute("ROLLBACK")
    yield


@asynccontextmanager
async def rotation_announced(proxy: Served, client: Caller) -> AsyncIterator[None]:
    done = proxy("keys", "rotate", "release", "--overlap", "publish-first:14d", *AGREED)
    assert done.status == 0, done.output
    yield


@asynccontextmanager
async def token_that_ends(proxy: Served, client: Caller) -> AsyncIterator[None]:
    done = proxy("tokens", "create", "ci", "--role", "viewer", "--days", "5")
    assert done.status == 0, done.output
    yield


@asynccontextmanager
async def row_that_nobody_wrote(proxy: Served, client: Caller) -> AsyncIterator[None]:
    assert (await client.at(proxy.upstream.host).push(REPOSITORY, "blocked", image("blocked"))).status == 201
    blocked = await client.pull(REPOSITORY, "blocked")
    page = blocked.message.rpartition(" - ")[2]
    assert proxy.leave() == 0
    with closing(sqlite3.connect(proxy.folder / "countersign.db")) as other, other:
        other.execute("UPDATE decisions SET decision = ?", ("[]",))
    proxy.start()
    assert (await client.ask("GET", page[page.index("/-/") :])).status == 500
    yield


@asynccontextmanager
async def registry_down(proxy: Served, client: Caller) -> AsyncIterator[None]:
    end(proxy.upstream.daemon.process)
    assert (await client.pull(REPOSITORY, "none")).status == 503
    yield


@asynccontextmanager
async def first_token_away(proxy: Served, client: Caller) -> AsyncIterator[None]:
    (proxy.folder / "token").rename(proxy.folder / "token.away")
    await client.push(REPOSITORY, "meanwhile", image())  # whether the spare is in time for it or for the next
    yield


@asynccontextmanager
async def time_passes(proxy: Served, client: Caller) -> AsyncIterator[None]:
    yield


Moving = Callable[[Served, Caller], AbstractAsyncContextManager[None]]
MOVERS: Mapping[Moving, tuple[str, ...]] = {  # in this order: the registry does not come back
    pushed_and_pulled: (
        "countersign_requests_total",
        "countersign_request_seconds",
        "countersign_bytes_sent_total",
        "countersign_bytes_received_total",
        "countersign_decisions_total",
        "countersign_signatures_total",
    ),
    half_a_layer: ("countersign_requests_in_flight",),
    excepted: (
        "countersign_excepted_pulls_total",
        "countersign_exceptions_open",
        "countersign_exceptions_unreviewed",
        "countersign_problems",
    ),
    denied: ("countersign_denials",),
    key_lost_and_glass_broken: (
        "countersign_signing_failures_total",
        "countersign_signing_healthy",
        "countersign_unsigned_pushes",
    ),
    store_locked: ("countersign_decisions_inconclusive_total",),
    rotation_announced: ("countersign_key_changes_announced", "countersign_next_key_change_timestamp_seconds"),
    token_that_ends: ("countersign_days_until_expiry",),
    row_that_nobody_wrote: ("countersign_internal_errors_total",),
    registry_down: ("countersign_upstream_unavailable_total",),
    first_token_away: ("countersign_standby_profiles",),
    time_passes: ("countersign_books_age_seconds",),
}
SERVERS: Mapping[Moving, str] = {first_token_away: "standing_by", time_passes: "shared"}


@pytest.mark.parametrize("moving", MOVERS, ids=lambda moving: moving.__name__)
async def test_it_moves(moving: Moving, request: pytest.FixtureRequest) -> None:
    proxy: Served = request.getfixturevalue(SERVERS.get(moving, "made"))
    async with caller(proxy.host) as client:
        if moving is not registry_down:
            await client.furnish(REPOSITORY)
            await client.at(proxy.upstream.host).furnish(REPOSITORY)
        before = scraped(proxy)
        async with moving(proxy, client):
            proxy.until(lambda: moved(proxy, before) >= {*MOVERS[moving]}, f"not all of {MOVERS[moving]} moved", 60)


STILL = ("countersign_build_info",)  # the version is another only after an upgrade


def test_every_documented_metric_has_something_that_moves_it() -> None:
    assert sorted([*STILL, *(name for names in MOVERS.values() for name in names)]) == sorted(documented())


def test_what_a_server_exports_is_documented_and_the_other_way_round(made: Served) -> None:
    assert set(scraped(made)) == documented()
