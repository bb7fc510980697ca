"""What the doctor makes of what it found; looking at real parts is in tests/contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
import time_machine

from hsm import KeyInfo, TokenInfo
from proxy.config import load
from proxy.server.doctor.checkup import DoctorFinding, State, _key, check_tokens
from proxy.server.doctor.examine import _configuration
from proxy.server.doctor.upstream import _clock
from proxy.tokens.setup import Seen
from tests.unit.config.test_settings import MINIMAL, SIGNING, parse

GOOD = dict.fromkeys(("SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL"), True)
GOOD |= {"EXTRACTABLE": False, "DERIVE": False}
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)


def looked_at(
    changes: Mapping[str, bool | None], mechanisms: tuple[str, ...] = ("ECDSA",), algorithm: str = "ecdsa-p256"
) -> DoctorFinding:
    info = KeyInfo("release", "01", algorithm, b"", "s1", {**GOOD, **changes})
    token = TokenInfo("prod", "s1", "model", "maker", "1.0", mechanisms, "slot")
    return _key("release", info, Seen(token, {}, ()), "ecdsa-p256", "make it")


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({}, "ok", "ecdsa-p256, signs with ECDSA"),
        ({"EXTRACTABLE": True}, "wrong", "EXTRACTABLE=True"),
        ({"SENSITIVE": False}, "wrong", "SENSITIVE=False"),
        ({"LOCAL": False}, "warning", "LOCAL=False"),
        ({"DERIVE": True, "SENSITIVE": False}, "wrong", "DERIVE=True"),
        ({"NEVER_EXTRACTABLE": None, "LOCAL": None}, "ok", "(not told: NEVER_EXTRACTABLE, LOCAL)"),
    ],
)
def test_a_key_that_could_leave_is_wrong_and_what_is_not_told_is_no_proof(
    changes: dict[str, bool | None], state: State, said: str
) -> None:
    found = looked_at(changes)
    assert found.state == state
    assert said in found.detail
    assert bool(found.fix) is (state != "ok")


def test_a_key_of_another_kind_or_of_one_the_token_cannot_use_is_wrong() -> None:
    assert looked_at({}, algorithm="rsa-3072").detail == "it is rsa-3072, not ecdsa-p256"
    cannot = looked_at({}, mechanisms=("SHA256_RSA_PKCS",))
    assert cannot.state == "wrong"
    assert "choose another algorithm for keys.release" in cannot.fix


@pytest.mark.parametrize(
    ("inner", "worst"),
    [((), "ok"), (("skipped",), "skipped"), (("ok", "warning", "skipped"), "warning"), (("warning", "wrong"), "wrong")],
)
def test_the_worst_counts_however_deep_it_lies(inner: tuple[State, ...], worst: State) -> None:
    leaves = tuple(DoctorFinding("leaf", state, "") for state in inner)
    assert DoctorFinding("top", "ok", "", inner=(DoctorFinding("middle", "ok", "", inner=leaves),)).worst == worst


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [
        (0, "ok", "0 s from"),
        (-59, "ok", "59 s from"),
        (61, "wrong", "61 s behind"),
        (-3600, "wrong", "3600 s ahead of"),
    ],
)
def test_a_clock_is_compared_with_upstream_s(seconds: int, state: State, said: str) -> None:
    theirs = datetime.fromtimestamp(NOON.timestamp() + seconds, UTC)
    with time_machine.travel(NOON, tick=False):
        found = _clock((("date", format_datetime(theirs, usegmt=True)),))
    assert (found.state, said in found.detail) == (state, True)


@pytest.mark.parametrize("headers", [(), (("date", "yesterday"),), (("date", ""),)])
def test_a_clock_that_nobody_told_is_not_judged(headers: tuple[tuple[str, str], ...]) -> None:
    assert _clock(headers).state == "skipped"


async def test_no_tokens_are_a_warning_and_one_without_its_pin_is_wrong(tmp_path: Path) -> None:
    assert (await check_tokens(parse(MINIMAL, str(tmp_path)))).state == "warning"
    found = await check_tokens(parse(SIGNING, str(tmp_path)))
    assert found.worst == "wrong"
    assert "PIN of token hsm" in found.inner[0].detail


def test_a_warning_about_a_line_was_called_1(tmp_path: Path) -> None:
    path = tmp_path / "countersign.yaml"
    path.write_text(MINIMAL)
    inner = _configuration(load(path)).inner
    assert inner
    for found in inner:
        assert re.fullmatch(r"countersign\.yaml:\d+:\d+", found.name)
        assert str(tmp_path) not in found.detail
