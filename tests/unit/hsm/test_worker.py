"""What the child says before a token is open, and of PKCS#11's errors; with a module it is tested elsewhere."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from typing import cast

import pytest
from pkcs11 import exceptions as ck

from hsm import wire
from hsm.errors import MechanismMissing
from hsm.frames import frame_length
from hsm.objects import Refusal
from hsm.worker import Session, _reply, _text, serve


@pytest.fixture(autouse=True)
def _no_alarm() -> Iterator[None]:
    """`serve` sets the alarm that ends a hanging child; this process is none."""
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def answers(*requests: wire.Request) -> list[wire.Request | wire.Reply]:
    sink = io.BytesIO()
    serve(io.BytesIO(b"".join(map(wire.encode, requests))), sink)
    frames, told = sink.getvalue(), []
    while frames:
        until = 4 + frame_length(frames[:4], wire.FRAME_LIMIT)
        told.append(wire.decode(frames[4:until]))
        frames = frames[until:]
    return told


def test_before_the_token_is_open_there_is_one_refusal_and_the_end() -> None:
    refused = wire.Failed("failed", "the first request must open the token")
    assert answers(wire.Describe(30), wire.ListKeys(30)) == [refused]
    assert answers() == []


def test_a_module_that_is_not_there_is_named_and_the_pin_is_not() -> None:
    (told,) = answers(wire.Open("/no/such/module.so", "test", None, "canary", 30))
    assert isinstance(told, wire.Failed)
    assert told.reason == "module-missing"
    assert "/no/such/module.so" in told.text
    assert "canary" not in told.text


class Troubled:
    """A session in which this happens."""

    def __init__(self, trouble: Exception) -> None:
        self.trouble = trouble

    def answer(self, _request: wire.Request) -> wire.Reply:
        raise self.trouble


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (Refusal("key-missing", "x"), "key-missing"),
        (MechanismMissing("x"), "mechanism-missing"),
        (ck.DeviceRemoved(), "session-lost"),
        (ck.SessionHandleInvalid(), "session-lost"),
        (ck.UserNotLoggedIn(), "session-lost"),
        (ck.OperationActive(), "session-lost"),
        (ck.DataLenRange(), "failed"),
        (ck.MechanismInvalid(), "failed"),
        (ValueError("x"), "failed"),
    ],
)
def test_a_lost_session_is_told_from_a_request_that_cannot_be_served(trouble: Exception, reason: str) -> None:
    told = _reply(cast("Session", Troubled(trouble)), wire.Describe(30))
    assert isinstance(told, wire.Failed)
    assert told.reason == reason


def test_a_defect_ends_the_child_rather_than_being_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        _reply(cast("Session", Troubled(ZeroDivisionError())), wire.Describe(30))


def test_serial_numbers_are_shown_without_their_padding() -> None:
    assert _text(b"  0001\0\0") == "0001"
    assert _text(b"\xff1") == "\ufffd1"
