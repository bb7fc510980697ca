"""The server starts while its token is away, refuses its PIN or hangs; and what else can be wrong with a start."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.caller import Caller, caller, image
from tests.faults.pkcs11_fault.faulty import ALWAYS, PIN_INCORRECT
from tests.faults.served import Served, served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import free_port, run
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"
KNOWN = image("known")
SOON = 8.0  # seconds; a few, on a machine that does other things too


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("start")
    with docker_registry(folder / "upstream") as upstream, served(folder / "proxy", upstream, faulty=True) as made:
        yield made


@pytest.fixture
def proxy(made: Served) -> Iterator[Served]:
    yield made
    made.close()


async def known(client: Caller, proxy: Served) -> None:
    """An image that was signed when all was well."""
    if not await client.at(proxy.upstream.host).tags(REPOSITORY):
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
    pushed = await client.push(REPOSITORY, "known", KNOWN)
    assert pushed.status == 201, pushed


def ended(proxy: Served, seconds: float = 20) -> tuple[int, str]:
    """The server has given up by itself: its status, and what it printed."""
    running = proxy.launch()
    status = running.process.wait(seconds)
    return status, running.printed()


async def test_it_starts_soon_and_signs_at_once(proxy: Served) -> None:
    assert proxy.start() < SOON
    async with caller(proxy.host) as client:
        await known(client, proxy)
        assert (await client.pull(REPOSITORY, "known")).body == KNOWN
    assert proxy.leave() == 0


@pytest.mark.parametrize(("fault", "value"), [("gone", 1), ("slow-login", 7_000)])
async def test_a_token_away_at_start_stops_pushes_and_comes_back_by_itself(
    proxy: Served, fault: str, value: int
) -> None:
    body = image()
    proxy.token.inject(fault, value, ALWAYS)
    try:
        assert proxy.start(opens=False) < SOON
        assert proxy.ready() == 200
        assert proxy.metric("countersign_signing_healthy") == 0
        (problem,) = proxy.problems()
        assert problem["since"]
        assert problem["stops"]
        assert problem["next"]
        async with caller(proxy.host) as client:
            assert (await client.pull(REPOSITORY, "known")).body == KNOWN
            pushed = await client.push(REPOSITORY, fault, body)
            assert pushed.status == 403
            assert "the signing device is unavailable; your image is fine, nothing was changed" in pushed.message
    finally:
        proxy.token.heal(fault)
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "it did not recover by itself", 40)
    async with caller(proxy.host) as client:
        assert (await client.push(REPOSITORY, fault, body)).status == 201
        assert (await client.pull(REPOSITORY, fault)).body == body
    assert proxy.leave() == 0


async def test_a_key_first_seen_when_the_token_came_back_is_in_the_journal(proxy: Served) -> None:
    for left in proxy.folder.glob("countersign.db*"):
        left.unlink()
    proxy.token.inject("gone", times=ALWAYS)
    try:
        proxy.start()
    finally:
        proxy.token.heal("gone")
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "it did not recover by itself", 40)
    proxy.until(lambda: proxy.rows("SELECT 1 FROM journal WHERE kind = 'key.created'"), "no key in the journal", 5)
    async with caller(proxy.host) as client:
        await known(client, proxy)
    assert proxy.leave() == 0


async def test_a_refused_pin_is_offered_once_over_many_starts(proxy: Served) -> None:
    before = proxy.token.seen("login")
    proxy.token.inject("login", PIN_INCORRECT, ALWAYS)
    try:
        said = [ended(proxy) for _ in range(4)]
    finally:
        proxy.token.heal("login")
    assert [status for status, _ in said] == [10] * 4  # for RestartPreventExitStatus
    assert proxy.token.seen("login") == before + 1
    assert "PinIncorrect" in said[0][1]
    for _, text in said[1:]:
        assert "refused this PIN before" in text
        assert "Correct the PIN" in text
    assert not any("Traceback" in text for _, text in said)
    pin = proxy.folder / "secrets" / "pin"
    assert not any(pin.read_text().strip() in text for _, text in said)
    pin.write_text(pin.read_text())
    proxy.start()
    assert proxy.leave() == 0


async def test_a_sighup_during_the_start_ends_nothing(proxy: Served) -> None:
    proxy.token.inject("slow-login", 1500)
    proxy.launch()
    before = proxy.token.seen("login")
    proxy.until(lambda: proxy.token.seen("login") > before, "it did not log in")
    proxy.signal(signal.SIGHUP)
    proxy.until(lambda: proxy.ready() == 200, "it did not start")
    assert proxy.leave() == 0


async def test_a_sigterm_during_the_start_ends_it_and_the_processes_of_the_token(proxy: Served) -> None:
    proxy.token.inject("slow-login", 1500)
    before = proxy.token.seen("login")
    proxy.launch()
    proxy.until(lambda: proxy.token.seen("login") > before, "it did not log in")
    began = time.monotonic()
    proxy.signal(signal.SIGTERM)
    assert proxy.daemon.process.wait(10) == 0
    assert time.monotonic() - began < SOON
    assert "Traceback" not in proxy.daemon.printed()


async def test_two_servers_on_one_store_are_refused_in_words(proxy: Served, tmp_path: Path) -> None:
    proxy.start()
    second = tmp_path / "countersign.yaml"
    text = proxy.config.read_text()
    for old in (proxy.host, proxy.admin):
        text = text.replace(old, f"127.0.0.1:{free_port()}")
    store = proxy.folder / "countersign.db"
    text = text.replace("sqlite:///countersign.db", f"sqlite:///{store}")
    pin = proxy.folder / "secrets" / "pin"
    second.write_text(text.replace("secrets/pin", str(pin)))
    said = run(PROGRAM, "serve", "--config", second, timeout=20)
    assert said.status == 3
    assert f"process {proxy.daemon.process.pid} is already writing {store}" in said.output
    assert "stop that one first" in said.output
    assert "Traceback" not in said.output
    assert proxy.ready() == 200
    assert proxy.leave() == 0


@pytest.mark.parametrize("listener", ["server", "admin"])
async def test_a_taken_port_is_named(proxy: Served, listener: str) -> None:
    taken = proxy.host if listener == "server" else proxy.admin
    host, _, port = taken.rpartition(":")
    with socket.create_server((host, int(port))):
        status, text = ended(proxy)
    assert status == 3
    assert f"{listener}.listen: cannot listen on {taken}: " in text
    assert "in use" in text
    assert "Traceback" not in text
    assert not proxy.children()
