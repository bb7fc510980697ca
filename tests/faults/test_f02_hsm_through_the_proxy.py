"""What the token does wrong, seen by people who push and pull through the real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.faults.caller import Caller, caller, image
from tests.faults.pkcs11_fault.faulty import (
    ALWAYS,
    DEVICE_REMOVED,
    GENERAL_ERROR,
    PIN_LOCKED,
    SESSION_HANDLE_INVALID,
    TOKEN_NOT_PRESENT,
    USER_NOT_LOGGED_IN,
)
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"
DEADLINE = 4.0  # a process of the token starts anew within it, also on a busy machine


def quick(settings: dict[str, Any]) -> None:
    settings["limits"] = {"sign_deadline_s": DEADLINE, "sign_queue": 24}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hsm")
    with docker_registry(folder / "up") as upstream, served(folder / "proxy", upstream, quick, faulty=True) as made:
        made.start()
        yield made
        assert made.leave() == 0


@pytest.fixture
async def client(proxy: Served) -> AsyncIterator[Caller]:
    async with caller(proxy.host) as client:
        behind = client.at(proxy.upstream.host)
        if not await behind.tags(REPOSITORY):
            await behind.furnish(REPOSITORY)
            assert (await client.push(REPOSITORY, "known", image("known"))).status == 201
        yield client


async def signed(client: Caller, tag: str, body: bytes) -> None:
    pushed = await client.push(REPOSITORY, tag, body)
    assert pushed.status == 201, pushed
    assert (await client.pull(REPOSITORY, tag)).body == body


async def refused(proxy: Served, client: Caller, tag: str, body: bytes) -> str:
    """The push is refused in words that people read, and nothing has moved; why, as operators read it."""
    pushed = await client.push(REPOSITORY, tag, body)
    assert pushed.status == 403, pushed
    assert pushed.message.startswith("blocked by countersign (not a login problem): ")
    assert "the signing device is unavailable; your image is fine, nothing was changed; try again" in pushed.message
    assert len(pushed.message) <= 300
    assert pushed.reason.startswith("blocked by countersign: not_signed - http://")
    assert (await client.at(proxy.upstream.host).pull(REPOSITORY, tag)).status == 404
    page = await client.ask("GET", pushed.message.rpartition(" - ")[2])
    assert page.status == 200
    ((detail,),) = proxy.rows("SELECT detail FROM journal WHERE kind = 'push.not_signed' ORDER BY rowid DESC LIMIT 1")
    return str(json.loads(detail)["what"])


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        ("crash", 1),
        ("sign", DEVICE_REMOVED),
        ("sign", SESSION_HANDLE_INVALID),
        ("sign", USER_NOT_LOGGED_IN),
        ("sign", TOKEN_NOT_PRESENT),
        ("sign", GENERAL_ERROR),
    ],
)
async def test_what_happens_once_nobody_notices(proxy: Served, client: Caller, fault: str, value: int) -> None:
    proxy.token.inject(fault, value)
    await signed(client, f"{fault}-{value}", image())


@pytest.mark.parametrize("fault", ["flip", "other-key", "crash"])
async def test_a_wrong_signature_never_leaves(proxy: Served, client: Caller, fault: str) -> None:
    body = image()
    proxy.token.inject(fault, times=ALWAYS)
    try:
        why = await refused(proxy, client, f"wrong-{fault}", body)
    finally:
        proxy.token.heal(fault)
    assert "died" in why if fault == "crash" else "does not verify" in why
    assert (await client.pull(REPOSITORY, "known")).status == 200
    await signed(client, f"wrong-{fault}", body)


async def test_a_token_that_hangs_costs_a_push_its_deadline_and_a_pull_nothing(proxy: Served, client: Caller) -> None:
    body = image()
    proxy.token.inject("hang", 30, ALWAYS)
    try:
        began = time.monotonic()
        pushing = asyncio.create_task(refused(proxy, client, "hanging", body))
        await asyncio.sleep(0.3)
        pulled = time.monotonic()
        assert (await client.pull(REPOSITORY, "known")).status == 200
        assert time.monotonic() - pulled < DEADLINE / 2
        why = await pushing
        assert time.monotonic() - began < 3 * DEADLINE
    finally:
        proxy.token.heal("hang")
    assert "hung" in why or "did not answer" in why
    await signed(client, "hanging", body)


async def test_a_killed_idle_process_is_replaced_before_anybody_waits(proxy: Served, client: Caller) -> None:
    proxy.until(lambda: len(proxy.children()) >= 2, "the token's processes did not start")
    for pid in proxy.children():
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(
        *(signed(client, f"killed-{n}", image()) for n in range(2))
    )  # three signatures each, and the queue holds eight


async def test_without_a_token_pulls_go_on_and_status_says_what_to_do(proxy: Served, client: Caller) -> None:
    body = image()
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "it was not well before")
    assert proxy("status").status == 0
    proxy.token.inject("gone", times=ALWAYS)
    try:
        await refused(proxy, client, "gone", body)
        await refused(proxy, client, "gone", body)
        proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 0, "the metric did not notice")
        assert proxy.ready() == 200
        assert (await client.pull(REPOSITORY, "known")).status == 200
        (problem,) = proxy.problems()
        assert problem["stops"] == "pushes that must be signed; pulls go on"
        assert problem["since"]
        said = proxy("status")
        assert said.status == 1
        assert "WRONG: " in said.stdout
        assert "since 20" in said.stdout
        assert f"countersign doctor --config {proxy.config}" in said.stdout
    finally:
        proxy.token.heal("gone")
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "it did not recover by itself")
    await signed(client, "gone", body)
    assert proxy.problems() == []


async def test_a_full_queue_says_so_early_and_loses_nothing(proxy: Served, client: Caller) -> None:
    bodies = {f"queue-{n}": image() for n in range(30)}
    proxy.token.inject("slow", 400, ALWAYS)
    try:
        replies = await asyncio.gather(*(client.push(REPOSITORY, tag, body) for tag, body in bodies.items()))
    finally:
        proxy.token.heal("slow")
    busy = [reply for reply in replies if reply.status == 429]
    assert busy
    for reply in busy:
        assert "retry-after" in reply.headers
        assert "push again" in reply.message
    for reply in replies:
        assert reply.status in {201, 403, 429}, reply
    for tag, body in bodies.items():
        await signed(client, tag, body)


async def test_a_pin_refused_while_serving_is_offered_once_and_stops_only_signing(
    proxy: Served, client: Caller
) -> None:
    body = image()
    before = proxy.token.seen("login")
    proxy.token.inject("login", PIN_LOCKED, ALWAYS)
    for pid in proxy.children():
        os.kill(pid, signal.SIGKILL)
    await refused(proxy, client, "locked", body)
    proxy.until(
        lambda: proxy.token.seen("login") == before + 1, "the PIN was not offered"
    )  # a busy machine starts late
    why = await refused(proxy, client, "locked", body)
    while "did not answer" in why:
        why = await refused(proxy, client, "locked", body)
    assert "PinLocked" in why or "refused" in why
    await refused(proxy, client, "locked", body)
    assert proxy.token.seen("login") == before + 1
    assert (await client.pull(REPOSITORY, "known")).status == 200
    assert proxy.ready() == 200
    assert proxy.metric("countersign_signing_healthy") == 0
    proxy.token.heal("login")
    proxy.signal(signal.SIGHUP)  # the PIN is the same one: not offered again
    await asyncio.sleep(0.5)
    assert proxy.token.seen("login") == before + 1
    pin = proxy.folder / "secrets" / "pin"
    pin.write_text(pin.read_text())  # somebody has looked after it
    proxy.signal(signal.SIGHUP)
    proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "the new PIN was not used")
    await signed(client, "locked", body)
    assert proxy.problems() == []
