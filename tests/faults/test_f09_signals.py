"""SIGTERM and SIGHUP at the real server while it is busy."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from tests.faults.adversary import adversary
from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.download import download
from tests.faults.pkcs11_fault.faulty import ALWAYS
from tests.faults.served import Served, alive, served
from tests.interop.peers import free_port
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"
LAYER = os.urandom(600_000)
LONG = os.urandom(8_000_000)  # more than the kernel takes before anybody reads
BLOB, LONG_BLOB = (f"/v2/{REPOSITORY}/blobs/{digest_of(layer)}" for layer in (LAYER, LONG))
TRANSFERS, STUCK = 200, 20
DRAIN = 4.0


def certified(authority: trustme.CA, folder: Path, name: str) -> None:
    issued = authority.issue_cert("127.0.0.1", common_name=name)
    (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
    (folder / "tls.crt").write_bytes(issued.cert_chain_pems[0].bytes())


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def shown(host: str, tls: ssl.SSLContext) -> str:
    """The common name of the certificate that a new connection gets to see."""
    address, port = host.split(":")
    _, writer = await asyncio.open_connection(address, int(port), ssl=tls)
    try:
        subject = writer.get_extra_info("peercert")["subject"]
        return str(next(value for part in subject for name, value in part if name == "commonName"))
    finally:
        writer.close()


async def furnished(client: Caller, proxy: Served) -> None:
    """The image with the layer is there, signed."""
    behind = client.at(proxy.upstream.host)
    await behind.furnish(REPOSITORY, LAYER, LONG)
    assert (await client.push(REPOSITORY, "big", image("big", LAYER, LONG))).status == 201


@pytest.fixture(scope="module")
def port() -> int:
    """Where the way to upstream begins."""
    return free_port()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("signals")

    def change(settings: dict[str, Any]) -> None:
        settings["limits"] = {"drain_s": DRAIN}

    to = f"http://127.0.0.1:{port}"
    with (
        docker_registry(folder / "up") as upstream,
        served(folder / "proxy", upstream, change, faulty=True, to=to) as made,
    ):
        yield made


async def test_sigterm_with_two_hundred_transfers_running(proxy: Served, port: int) -> None:
    going, never = asyncio.Event(), asyncio.Event()
    places = itertools.count()

    async def halting(request: web.BaseRequest) -> web.StreamResponse | None:
        """The layer comes by halves; its second one later, or never."""
        if request.method != "GET" or request.path != BLOB:
            return None
        answer = web.StreamResponse(headers={"Content-Length": str(len(LAYER))})
        await answer.prepare(request)
        await answer.write(LAYER[: len(LAYER) // 2])
        await (never if next(places) < STUCK else going).wait()
        await answer.write(LAYER[len(LAYER) // 2 :])
        return answer

    async with caller(proxy.host) as client, AsyncExitStack() as open_:
        upstream = await open_.enter_async_context(adversary(port, proxy.upstream.host))
        proxy.start()
        children = proxy.children()
        await furnished(client, proxy)
        upstream.rules.append(halting)
        beginning = (open_.enter_async_context(download(proxy.host, BLOB)) for _ in range(TRANSFERS))
        downloads = await asyncio.gather(*beginning)
        assert await asyncio.to_thread(proxy.metric, "countersign_requests_in_flight") == TRANSFERS
        proxy.token.inject("slow", 700, ALWAYS)
        before = proxy.token.seen("sign")
        pushing = asyncio.create_task(client.push(REPOSITORY, "late", image("late", LAYER)))
        while proxy.token.seen("sign") == before:  # noqa: ASYNC110  in another process
            await asyncio.sleep(0.02)
        began = time.monotonic()
        proxy.signal(signal.SIGTERM)
        await asyncio.to_thread(proxy.until, lambda: proxy.ready() == 503, "it stayed ready")
        assert time.monotonic() - began < 0.5
        with pytest.raises(ConnectionRefusedError):
            await open_.enter_async_context(download(proxy.host, BLOB))
        going.set()
        bodies = await asyncio.gather(*(each.ended() for each in downloads))
        assert (await pushing).status == 201
        proxy.token.heal("slow")
        status = await asyncio.to_thread(proxy.daemon.process.wait, 20)
        took = time.monotonic() - began
        assert status == 0
        assert DRAIN - 0.5 < took < DRAIN + 4
        assert sum(body == LAYER for body in bodies) == TRANSFERS - STUCK
        assert sum(len(body) < len(LAYER) for body in bodies) == STUCK
        late = await client.at(proxy.upstream.host).signatures(REPOSITORY, digest_of(image("late", LAYER)))
        assert f"{proxy.host}/{REPOSITORY}:late" in {bound for bound, _ in late}
    assert proxy.ready() == 0
    assert not any(map(alive, children))
    ((detail,),) = proxy.rows("SELECT detail FROM journal WHERE kind = 'server.stopped' ORDER BY position DESC LIMIT 1")
    assert json.loads(detail) == {"transfers_cut": STUCK}
    assert "Traceback" not in proxy.daemon.printed()


async def test_after_sigterm_every_pull_is_in_the_log_and_in_the_journal(proxy: Served, port: int) -> None:
    """Lines of requests and rows of pulls are written together, some time later: none may be lost at the end."""
    async with caller(proxy.host) as client, adversary(port, proxy.upstream.host):
        proxy.start()
        await furnished(client, proxy)
        answers = [await client.pull(REPOSITORY, "big") for _ in range(60)]
        proxy.signal(signal.SIGTERM)
    assert {answer.status for answer in answers} == {200}
    assert await asyncio.to_thread(proxy.daemon.process.wait, 30) == 0
    lines = [json.loads(line) for line in proxy.daemon.printed().splitlines() if line.startswith("{")]
    logged = [line["request_id"] for line in lines if line["event"] == "request" and line["kind"] == "PullManifest"]
    assert logged[-len(answers) :] == [answer.headers["x-request-id"] for answer in answers]
    rows = proxy.rows("SELECT count FROM journal WHERE kind = 'pull.allowed' AND at >= ?", lines[0]["timestamp"][:19])
    assert sum(count for (count,) in rows) == len(answers)


async def test_sigterm_with_nothing_to_do_is_soon_over(proxy: Served) -> None:
    proxy.start()
    began = time.monotonic()
    assert proxy.leave() == 0
    assert time.monotonic() - began < 4


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def served_by_https(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("secure")

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["public_urls"] = [settings["server"]["public_urls"][0].replace("http:", "https:")]
        settings["server"]["tls"] = {"cert": "tls.crt", "key": "tls.key"}

    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream, change, faulty=True) as made:
        certified(authority, made.folder, "first")
        made.start()
        yield made
        assert made.leave() == 0


@pytest.fixture
def secure(served_by_https: Served, authority: trustme.CA) -> Iterator[Served]:
    """A server by HTTPS. A test that fails leaves no broken file for the next one."""
    files = [served_by_https.config, served_by_https.folder / "secrets" / "pin"]
    good = {file: file.read_bytes() for file in files}
    yield served_by_https
    if served_by_https.problems():
        for file, content in good.items():
            file.write_bytes(content)
        certified(authority, served_by_https.folder, "first")
        reloaded(served_by_https)


def reloaded(secure: Served) -> None:
    """SIGHUP was sent, and the configuration of now is in force."""
    said = secure.daemon.printed().count("configuration reloaded")
    secure.signal(signal.SIGHUP)
    secure.until(lambda: secure.daemon.printed().count("configuration reloaded") > said, "it did not reload")


def refused(secure: Served, then: str | None = None) -> str:
    """SIGHUP was sent, and refused with this text, which is the same in log, journal and status.

    `then` is the next command that status shows; None: the one that validates the file.
    """

    def rows() -> list[tuple[Any, ...]]:
        return secure.rows("SELECT detail FROM journal WHERE kind = 'config.refused' ORDER BY position")

    before = len(rows())
    secure.signal(signal.SIGHUP)
    secure.until(lambda: len(rows()) > before, "nothing was refused")
    why = str(json.loads(rows()[-1][0])["why"])
    (problem,) = [each for each in secure.problems() if "was not reloaded" in each["what"]]
    assert why in problem["what"]
    assert problem["since"]
    assert problem["stops"] == "nothing; the previous one stays in force"
    assert problem["next"] == (then or f"countersign config validate --config {secure.config}")
    log = [json.loads(line) for line in secure.daemon.printed().splitlines() if "configuration refused" in line]
    assert log[-1]["why"] == why
    return why


async def test_a_reload_changes_policy_at_once_and_drops_no_connection(secure: Served, authority: trustme.CA) -> None:
    tls = trusting(authority)
    async with caller(secure.host, tls=tls) as client:
        await furnished(client, secure)
        unsigned = image("unsigned", LAYER)
        assert (await client.at(secure.upstream.host).push(REPOSITORY, "unsigned", unsigned)).status == 201
        assert (await client.pull(REPOSITORY, "unsigned")).status == 403

        def mode(word: str) -> None:
            def change(settings: dict[str, Any]) -> None:
                settings["policies"][0]["pull"]["mode"] = word

            secure.edit(change)

        async with download(secure.host, LONG_BLOB, tls) as running:
            mode("warn")
            reloaded(secure)
            warned = await client.pull(REPOSITORY, "unsigned")
            assert warned.status == 200
            assert warned.headers["warning"].startswith('299 - "')
            mode("enforce")
            reloaded(secure)
            assert (await client.pull(REPOSITORY, "unsigned")).status == 403
            assert (await client.pull(REPOSITORY, "big")).status == 200
            assert await running.ended() == LONG
    assert secure.problems() == []


async def test_a_broken_configuration_changes_nothing_and_is_reported(secure: Served, authority: trustme.CA) -> None:
    good = secure.config.read_text()
    async with caller(secure.host, tls=trusting(authority)) as client:
        secure.config.write_text(good.replace("enforce", "enforec"))
        why = refused(secure)
        assert f"{secure.config}:" in why
        assert "enforec" in why
        secure.config.write_text(good.replace(secure.host, "127.0.0.1:1"))
        assert "server.listen" in refused(secure, then="restart countersign serve")
        secure.config.unlink()
        assert str(secure.config) in refused(secure)
        assert (await client.pull(REPOSITORY, "big")).status == 200
        assert (await client.push(REPOSITORY, "after", image("after", LAYER))).status == 201
        secure.config.write_text(good)
        reloaded(secure)
    assert secure.problems() == []


async def test_a_new_certificate_is_shown_to_new_connections_alone(secure: Served, authority: trustme.CA) -> None:
    tls = trusting(authority)
    assert await shown(secure.host, tls) == "first"
    async with download(secure.host, LONG_BLOB, tls) as running:
        (secure.folder / "tls.crt").write_text("broken")
        refused(secure)
        assert await shown(secure.host, tls) == "first"
        certified(authority, secure.folder, "second")
        reloaded(secure)
        assert await shown(secure.host, tls) == "second"
        assert await running.ended() == LONG
    assert secure.problems() == []


async def test_a_changed_pin_is_used_and_a_wrong_one_offered_once(secure: Served, authority: trustme.CA) -> None:
    pin = secure.folder / "secrets" / "pin"
    right = pin.read_text()
    async with caller(secure.host, tls=trusting(authority)) as client:

        async def pushes(tag: str) -> None:
            assert (await client.push(REPOSITORY, tag, image(tag, LAYER))).status == 201

        before = secure.token.seen("login")
        pin.write_text("wrong\n")
        why = refused(secure)
        assert "PIN" in why
        refused(secure)
        assert secure.token.seen("login") == before + 1
        await pushes("with-the-old-pin")
        pin.write_text(right)
        secure.token.inject("slow", 200, ALWAYS)
        load = asyncio.gather(*(pushes(f"while-it-changes-{n}") for n in range(4)))
        await asyncio.sleep(0.1)
        reloaded(secure)
        secure.token.heal("slow")
        await load
        await pushes("with-the-new-pin")
        secure.until(lambda: len(secure.children()) == 2, "the processes with the old PIN did not end")
        pin.unlink()
        assert str(pin) in refused(secure)
        await pushes("without-a-file")
        pin.write_text(right)
        reloaded(secure)
    assert secure.problems() == []


async def test_many_sighups_at_once_are_no_more_than_one(secure: Served, authority: trustme.CA) -> None:
    async with caller(secure.host, tls=trusting(authority)) as client:
        for _ in range(50):
            secure.signal(signal.SIGHUP)
        reloaded(secure)
        assert (await client.pull(REPOSITORY, "big")).status == 200
    assert secure.problems() == []
