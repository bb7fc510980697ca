"""The process that holds the token crashes, hangs, loses its session or its token; or sees too much work."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from hsm import KeyInfo, QueueFull, Token, TokenNotFound, TokenUnavailable
from hsm.encoding import verifies
from hsm.softhsm import find_softhsm
from tests.faults.pkcs11_fault.faulty import (
    ALWAYS,
    DEVICE_REMOVED,
    FUNCTION_REJECTED,
    GENERAL_ERROR,
    SESSION_HANDLE_INVALID,
    TOKEN_NOT_PRESENT,
    USER_NOT_LOGGED_IN,
    Faulty,
    behind,
    build,
    buildable,
    until,
)
from tests.worlds.softhsm import SoftToken, fresh_token, softhsm_missing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(softhsm_missing() or not buildable(), reason="needs SoftHSM and gcc"),
]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("module"))


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> SoftToken:
    token = fresh_token(tmp_path_factory.mktemp("token"))

    async def key() -> None:
        async with await Token.open(token.settings) as opened:
            await opened.create("release", "ecdsa-p256")

    asyncio.run(key())
    return token


@pytest.fixture
def faulty(module: Path, soft: SoftToken, tmp_path: Path) -> Faulty:
    return behind(module, soft, tmp_path / "control", sessions=1)


@pytest.fixture
async def token(faulty: Faulty) -> AsyncIterator[Token]:
    async with await Token.open(faulty.settings) as opened:
        yield opened


@pytest.fixture
async def key(token: Token) -> KeyInfo:
    return await token.key("release")


async def signs(token: Token, key: KeyInfo, deadline: float = 10) -> None:
    message = os.urandom(20)
    assert verifies(key.spki, message, await token.sign(key, message, deadline=deadline))


async def test_a_segfault_costs_one_retry_and_nobody_notices(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("crash")
    await signs(token, key)
    assert token.stats.restarts == 1
    assert token.health is None


async def test_crashing_every_time_is_unavailable_after_one_retry(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("crash", times=ALWAYS)
    with pytest.raises(TokenUnavailable, match="died") as caught:
        await token.sign(key, b"m", deadline=10)
    assert caught.value.retryable
    assert faulty.seen("sign") == 2
    faulty.heal("crash")
    await signs(token, key)


@pytest.mark.parametrize(
    "answer", [DEVICE_REMOVED, SESSION_HANDLE_INVALID, USER_NOT_LOGGED_IN, TOKEN_NOT_PRESENT, GENERAL_ERROR]
)
async def test_a_lost_session_is_replaced_and_tried_once_more(
    faulty: Faulty, token: Token, key: KeyInfo, answer: int
) -> None:
    faulty.inject("sign", answer)
    await signs(token, key)
    assert (faulty.seen("sign"), token.stats.restarts) == (2, 1)


async def test_a_session_lost_twice_is_unavailable(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("sign", DEVICE_REMOVED, 2)
    with pytest.raises(TokenUnavailable, match="DeviceRemoved"):
        await token.sign(key, b"m", deadline=10)
    await signs(token, key)


async def test_an_error_that_is_not_the_sessions_keeps_the_child(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("sign", FUNCTION_REJECTED)
    with pytest.raises(Exception, match="FunctionRejected"):
        await token.sign(key, b"m", deadline=10)
    assert token.stats.restarts == 0


async def test_a_hanging_child_is_killed_at_the_deadline(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    (pid,) = token.pids
    faulty.inject("hang", 30)
    begun = time.monotonic()
    with pytest.raises(TokenUnavailable, match=r"did not answer|hung"):
        await token.sign(key, b"m", deadline=1.2)
    assert time.monotonic() - begun < 2
    await signs(token, key)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_deadline_includes_the_time_in_the_line(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("slow", 400)
    first = asyncio.create_task(token.sign(key, b"first", deadline=10))
    await asyncio.sleep(0.1)
    with pytest.raises(TokenUnavailable, match=r"0\.1 s"):
        await token.sign(key, b"second", deadline=0.1)
    await first
    assert token.stats.restarts == 0, "a healthy child was killed for the line's delay"
    assert faulty.seen("sign") == 1, "what nobody waits for any more was signed"


async def test_a_caller_who_leaves_does_not_mix_up_the_answers(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("slow", 200, 3)
    leaving = asyncio.create_task(token.sign(key, b"first", deadline=10))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await signs(token, key)
    await signs(token, key)
    assert token.stats.restarts == 0


async def test_a_token_that_vanishes_and_returns(faulty: Faulty, token: Token, key: KeyInfo) -> None:
    faulty.inject("gone", times=ALWAYS)
    with pytest.raises(TokenUnavailable):
        await token.sign(key, b"m", deadline=2.5)
    begun = time.monotonic()
    with pytest.raises(TokenUnavailable, match="0 tokens of label 'test'"):  # known to be down: refused at once
        await token.sign(key, b"m", deadline=10)
    assert time.monotonic() - begun < 1
    assert token.health is not None
    assert "0 tokens" in token.health
    faulty.heal("gone")
    await until(lambda: token.health is None)
    await signs(token, key)


async def test_no_token_at_the_start_names_what_was_found(faulty: Faulty) -> None:
    faulty.inject("gone", times=ALWAYS)
    with pytest.raises(TokenNotFound, match=r"'test'.*it shows none"):
        await Token.open(faulty.settings)


async def test_softhsm_without_its_configuration_says_that_and_of_which_token(faulty: Faulty) -> None:
    bare = replace(faulty.settings, module=find_softhsm(), label="spare", environment={})
    with pytest.raises((TokenNotFound, TokenUnavailable), match=r"'spare'.*SOFTHSM2_CONF is not set for it"):
        await Token.open(bare)


async def test_a_module_that_starts_badly_is_tried_again(faulty: Faulty) -> None:
    faulty.inject("initialize", GENERAL_ERROR, 2)
    async with await Token.open(faulty.settings) as token:
        assert token.health is None


async def test_a_full_line_refuses_at_once(faulty: Faulty, token: Token, key: KeyInfo, soft: SoftToken) -> None:
    small = behind(Path(faulty.settings.module), soft, faulty.control, sessions=1, queue=3)
    async with await Token.open(small.settings) as narrow:
        faulty.inject("slow", 300, 4)
        waiting = [asyncio.create_task(narrow.sign(key, bytes([n]), deadline=10)) for n in range(4)]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        with pytest.raises(QueueFull, match="3 requests wait already"):
            await narrow.sign(key, b"too much", deadline=10)
        assert time.monotonic() - begun < 0.2
        assert narrow.stats.queued == 3
        assert len(await asyncio.gather(*waiting)) == 4


async def test_closing_fails_what_waits_and_leaves_no_process(faulty: Faulty, key: KeyInfo) -> None:
    token = await Token.open(faulty.settings)
    pids = token.pids
    faulty.inject("slow", 500, 2)
    waiting = [asyncio.create_task(token.sign(key, b"m", deadline=10)) for _ in range(2)]
    await asyncio.sleep(0.1)
    await token.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, TokenUnavailable) for outcome in outcomes)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(TokenUnavailable, match="closed"):
        await token.sign(key, b"m", deadline=1)


async def test_closing_waits_for_a_child_that_logs_in(faulty: Faulty, soft: SoftToken) -> None:
    # SoftHSM rewrites its token file in C_Login; killed there, it leaves an empty file and no token.
    two = behind(Path(faulty.settings.module), soft, faulty.control, sessions=2)
    two.inject("slow-login", 300, ALWAYS)
    token = await Token.open(two.settings)
    await until(lambda: two.seen("login") == 2)
    await token.close()
    assert two.seen("login-done") == 2


async def test_an_opening_that_is_given_up_waits_for_its_login(faulty: Faulty) -> None:
    faulty.inject("slow-login", 300)
    opening = asyncio.create_task(Token.open(faulty.settings))
    await until(lambda: faulty.seen("login") == 1)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert faulty.seen("login-done") == 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_a_ctrl_c_is_not_for_the_child(token: Token, key: KeyInfo, sent: signal.Signals) -> None:
    (pid,) = token.pids
    os.kill(pid, sent)
    await signs(token, key)
    assert token.pids == (pid,)


async def test_an_idle_child_that_is_killed_is_replaced(token: Token, key: KeyInfo) -> None:
    for _ in range(3):
        (pid,) = token.pids
        os.kill(pid, signal.SIGKILL)
        await signs(token, key)
        assert token.pids != (pid,)
