"""Destroying on the command line: a plan, then the fingerprint typed; nothing without a terminal or --confirm."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import agreed, custody
from proxy.cli.admin import Endpoint
from proxy.cli.agreed import Confirmation
from proxy.cli.exits import Exit
from tests.unit.cli.test_keys import KEY, Terminal

PLACE = Endpoint(socket=Path("/nowhere/countersign.sock"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    asked: list[tuple[str, Any]] = []

    def reply(_place: Endpoint, _method: str, path: str, body: Any = None) -> dict[str, Any]:
        asked.append((path, body))
        return {"plan": ["destroy both halves"], "done": False} if "dry_run" in path else {**KEY, "state": "destroyed"}

    for module in (agreed, custody):
        monkeypatch.setattr(module, "call", reply)
    return asked


def destroy(confirm: str = "", *, dry_run: bool = False) -> Exit:
    return custody.destroy(PLACE, "abababab", "gone", confirm, Confirmation(dry_run=dry_run))


@pytest.mark.parametrize(("typed", "done"), [("abababababab\n", True), ("\n", False)])
def test_what_is_typed_is_what_the_server_compares(
    typed: str, done: bool, asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert destroy() is (Exit.FINE if done else Exit.NO)
    told = [body["confirm"] for path, body in asked if "dry_run" not in path]
    assert told == (["abababababab"] if done else [])


def test_without_a_terminal_nothing_is_destroyed(asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("abababababab\n"))
    assert destroy() is Exit.NO
    assert [path for path, _ in asked] == ["keys/abababab/destroy?dry_run=true"]


def test_confirm_asks_nobody_and_dry_run_does_nothing(
    asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert destroy("abababababab") is Exit.FINE
    assert "is destroyed on token hsm, serial 1" in capsys.readouterr().out
    assert destroy(dry_run=True) is Exit.FINE
    assert [path for path, _ in asked] == ["keys/abababab/destroy", "keys/abababab/destroy?dry_run=true"]
