"""A wrong PIN is offered once: not once per child, not once per restart."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from hsm import PinRefused, Token
from hsm.pin import identity_of
from tests.faults.pkcs11_fault.faulty import (
    ALWAYS,
    PIN_INCORRECT,
    PIN_LOCKED,
    TOKEN_WRITE_PROTECTED,
    Faulty,
    behind,
    build,
    buildable,
    until,
)
from tests.worlds.softhsm import PIN, fresh_token, softhsm_missing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(softhsm_missing() or not buildable(), reason="needs SoftHSM and gcc"),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "pin"
    file.write_text("wrong")
    return file


@pytest.fixture
def faulty(tmp_path: Path, source: Path) -> Faulty:
    token = fresh_token(tmp_path / "token")
    return behind(
        build(tmp_path), token, tmp_path / "control", sessions=4, pin="wrong", pin_memory=tmp_path / "refused-pin",
        pin_identity=identity_of(source),
    )  # fmt: skip


def correct(source: Path) -> None:
    source.write_text(PIN)


async def test_one_attempt_over_many_restarts(faulty: Faulty) -> None:
    with pytest.raises(PinRefused, match="PinIncorrect"):
        await Token.open(faulty.settings)
    for _ in range(5):
        with pytest.raises(PinRefused, match="refused this PIN before"):
            await Token.open(faulty.settings)
    assert faulty.seen("login") == 1


async def test_a_corrected_pin_is_tried_and_clears_the_memory(faulty: Faulty, source: Path, tmp_path: Path) -> None:
    with pytest.raises(PinRefused):
        await Token.open(faulty.settings)
    correct(source)
    token = fresh_token(tmp_path / "other")  # the identity changed, so the settings are made anew, as a start does
    corrected = behind(
        Path(faulty.settings.module), token, faulty.control, pin=PIN, pin_memory=faulty.settings.pin_memory,
        pin_identity=identity_of(source),
    )  # fmt: skip
    async with await Token.open(corrected.settings) as opened:
        assert opened.health is None
    assert not (tmp_path / "refused-pin").exists()


async def test_a_locked_pin_says_so(faulty: Faulty) -> None:
    faulty.inject("login", PIN_LOCKED)
    with pytest.raises(PinRefused, match="PinLocked"):
        await Token.open(faulty.settings)


async def test_a_pin_changed_while_serving_is_offered_once(faulty: Faulty) -> None:
    right = behind(Path(faulty.settings.module), fresh_token(faulty.control.parent / "right"), faulty.control,
                   sessions=3, pin_memory=faulty.settings.pin_memory)  # fmt: skip
    async with await Token.open(right.settings) as token:
        key = await token.create("release", "ecdsa-p256")
        await until(lambda: len(token.pids) == 3)
        before = faulty.seen("login")
        faulty.inject("login", PIN_INCORRECT, ALWAYS)
        for pid in token.pids:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(PinRefused):
            await token.sign(key, b"m", deadline=10)
        await asyncio.sleep(0.5)
        assert faulty.seen("login") == before + 1
        assert token.health is not None
        assert "PinIncorrect" in token.health
        with pytest.raises(PinRefused):
            await token.sign(key, b"m", deadline=10)


async def test_the_pin_is_in_no_error_and_no_argument(faulty: Faulty) -> None:
    right = behind(Path(faulty.settings.module), fresh_token(faulty.control.parent / "right"), faulty.control)
    assert PIN not in repr(right.settings)
    async with await Token.open(right.settings) as token:
        for pid in token.pids:
            shown = [(Path(f"/proc/{pid}") / name).read_bytes() for name in ("cmdline", "environ")]
            assert not any(PIN.encode() in text for text in shown)
    with pytest.raises(PinRefused) as caught:
        await Token.open(faulty.settings)
    assert "wrong" not in str(caught.value)


async def test_a_write_protected_token_is_opened_for_reading(faulty: Faulty) -> None:
    right = behind(Path(faulty.settings.module), fresh_token(faulty.control.parent / "right"), faulty.control)
    right.inject("open", TOKEN_WRITE_PROTECTED, ALWAYS)
    async with await Token.open(right.settings) as token:
        assert await token.keys() == ()
