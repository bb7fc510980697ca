"""Destroying on the command line: a plan, then the fingerprint typed. The page of evidence holds the file itself."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import admin, agreed
from proxy.cli.admin import Endpoint
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.formats.key_evidence import CHECK, encoded, page, text_of
from proxy.keys.custody_operations import destroy_key
from tests.unit.keys.test_operations import KEY, Terminal

PLACE = Endpoint(socket=Path("/nowhere/countersign.sock"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    asked: list[tuple[str, Any]] = []

    def reply(_place: Endpoint, _method: str, path: str, body: Any = None) -> dict[str, Any]:
        asked.append((path, body))
        return {"plan": ["destroy both halves"], "done": False} if "dry_run" in path else {**KEY, "state": "destroyed"}

    for module in (agreed, admin):
        monkeypatch.setattr(module, "call", reply)
    return asked


def destroy(confirm: str | None = None, *, dry_run: bool = False) -> Exit:
    given = {"fingerprint": "abababab", "reason": "gone", "confirm": confirm, "dry_run": dry_run}
    return carry_out(destroy_key, PLACE, {**given, "output": OutputFormat.TEXT})


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


DOCUMENT = {
    "at": "2026-01-02T12:00:00+00:00",
    "by": "countersign",
    "key": {"fingerprint": "ab" * 32, "profile": "release"},
    "token": {"mechanisms": ["ECDSA", "RSA_PKCS"], "label": "<script>alert(1)</script>"},
    "attributes": {"EXTRACTABLE": False, "LOCAL": None},
    "journal": [{"at": "then", "kind": "key.created", "who": "a<b", "how": "", "detail": {"reason": "x"}}],
}


def test_the_page_shows_everything_and_has_the_file_inside() -> None:
    made = {"signed": encoded(text_of(DOCUMENT)), "signature": "c2ln", "public_key": "PEM\n", "check": list(CHECK)}
    html = page(made)
    for shown in ("ab" * 32, "ECDSA, RSA_PKCS", "not told", "key.created", "the server itself", "openssl dgst"):
        assert shown in html
    assert "<script>" not in html
    inside = html.split('<pre id="evidence">')[1].split("</pre>")[0]
    file = json.loads(inside.replace("&quot;", '"').replace("&#x27;", "'").replace("&gt;", ">").replace("&amp;", "&"))
    assert json.loads(base64.b64decode(file["signed"]).partition(b"\n")[2]) == DOCUMENT
