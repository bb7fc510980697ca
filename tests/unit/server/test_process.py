"""A start that is told to end before it is over, and exit codes; signals to real processes are in tests/faults."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.cli.exits import Exit
from proxy.oci.faults import Unavailable
from proxy.server import process
from proxy.server.process import Signals, _unless
from proxy.tokens.open import PinRefusedAtStart


async def test_a_start_told_to_leave_is_undone_before_the_process_ends() -> None:
    told, undone = asyncio.Event(), asyncio.Event()

    async def start() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            undone.set()
        return "up"

    starting = asyncio.create_task(_unless(told, start()))
    await asyncio.sleep(0)
    told.set()
    assert await starting is None
    assert undone.is_set()


async def test_a_start_that_is_over_counts_even_where_leaving_was_told_in_the_same_moment() -> None:
    told = asyncio.Event()

    async def start() -> str:
        told.set()
        return "up"

    assert await _unless(told, start()) == "up"


async def test_a_start_that_fails_says_why() -> None:
    async def start() -> str:
        raise Unavailable("store: away")

    with pytest.raises(Unavailable, match="store: away"):
        await _unless(asyncio.Event(), start())


def test_exit_codes_are_those_that_commands_promise() -> None:
    assert (process.CONFIG, process.STORE, process.PIN_REFUSED) == (Exit.CONFIG, Exit.STORE, Exit.PIN_REFUSED)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (Unavailable("store: away"), Exit.STORE),
        (PinRefusedAtStart("token test refused the PIN"), Exit.PIN_REFUSED),
        (None, Exit.CONFIG),
    ],
)
async def test_what_ends_a_start_is_one_text_and_one_code(
    trouble: Exception | None,
    code: Exit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fails(_path: Path, _orders: Signals) -> int:
        assert trouble is not None
        raise trouble

    monkeypatch.setattr(process, "bound_process", lambda: None)  # it would bound this process for good
    monkeypatch.setattr(Signals, "heed", lambda _orders: None)
    if trouble is not None:
        monkeypatch.setattr(process, "_serve", fails)
    assert await process.serve(tmp_path / "countersign.yaml") == code
    said = capsys.readouterr().err
    assert str(trouble or "countersign init") in said
    assert "Traceback" not in said
