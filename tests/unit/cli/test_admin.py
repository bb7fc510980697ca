"""What a command makes of the server's answer, over a real socket; verdicts are exit codes."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.cli import admin as client
from proxy.cli.admin import Endpoint, _understood, call
from proxy.cli.app import _with
from proxy.cli.exits import Exit, socket_beside
from proxy.oci.faults import Fault, Unavailable

HERE = Endpoint(socket=Path("/nowhere/countersign.sock"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 429, 500, 502, 503])
def test_every_error_of_the_server_is_a_fault_with_its_words_and_its_status(status: int) -> None:
    with pytest.raises(Fault, match="said by the server") as refused:
        _understood(HERE, status, json.dumps({"detail": "said by the server"}).encode())
    assert refused.value.status == status


def test_only_an_object_is_an_answer() -> None:
    assert _understood(HERE, 200, b'{"outcome": "failed"}') == {"outcome": "failed"}
    for status, body in ((200, b"[]"), (200, b"1"), (200, b"<html>"), (200, b""), (204, b"{}"), (500, b'{"a": 1}')):
        with pytest.raises(Unavailable, match="is it the admin listener"):
            _understood(HERE, status, body)


def test_the_socket_is_beside_the_file() -> None:
    assert socket_beside(Path("/etc/countersign/countersign.yaml")) == Path("/etc/countersign/countersign.sock")


def test_nobody_there(tmp_path: Path) -> None:
    (tmp_path / "countersign.yaml").touch()
    here = Endpoint(socket=tmp_path / "countersign.sock")
    with pytest.raises(Unavailable, match=f"start it: countersign serve --config {tmp_path}/countersign.yaml"):
        call(here, "GET", "status")
    with socket.socket(socket.AF_UNIX) as left:  # its server is gone
        left.bind(str(tmp_path / "countersign.sock"))
    assert stat.S_ISSOCK((tmp_path / "countersign.sock").stat().st_mode)
    with pytest.raises(Unavailable, match="start it"):
        call(here, "GET", "status")


def test_no_right_to_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(client._UnixConnection, "connect", refuse)
    with pytest.raises(Unavailable, match="may only be used by the user that runs the server"):
        call(HERE, "GET", "status")


def typed(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *words: str) -> tuple[Any, list[Any]]:
    """What a command does with this answer, and what it asked for."""
    asked: list[Any] = []

    def reply(_: Endpoint, *what: Any) -> dict[str, Any]:
        asked.append(what)
        return answer

    monkeypatch.setattr(client, "call", reply)
    return CliRunner().invoke(_with([words[0]]), [*words, "-c", "countersign.yaml"]), asked


CODES = {"passed": Exit.FINE, "failed": Exit.NO, "inconclusive": Exit.INCONCLUSIVE, "new": Exit.NO}


@pytest.mark.parametrize(("outcome", "code"), CODES.items())
def test_the_code_says_the_verdict(monkeypatch: pytest.MonkeyPatch, outcome: str, code: Exit) -> None:
    answer = {"outcome": outcome, "decision": {}, "text": "the whole story\n"}
    done, asked = typed(monkeypatch, answer, "verify", "prod/app:1")
    assert (done.exit_code, done.stdout) == (code, "the whole story\n")
    assert asked == [("GET", "verify?ref=prod%2Fapp%3A1", None)]
    done, asked = typed(monkeypatch, answer, "why", "team/app@sha256:" + "0" * 64)
    assert done.exit_code == code
    assert asked == [("GET", "why?question=team%2Fapp%40sha256%3A" + "0" * 64, None)]


def test_json_is_the_decision_and_pure_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = {"outcome": "failed", "repository": "\x1b[31m"}
    done, _ = typed(monkeypatch, {"outcome": "failed", "decision": decision, "text": "x"}, "verify", "a", "-o", "json")
    assert "\x1b" not in done.stdout
    assert json.loads(done.stdout) == decision


def test_nothing_a_terminal_would_obey_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    done, _ = typed(monkeypatch, {"outcome": "failed", "decision": {}, "text": "a\x1b]0;owned\x07\nb"}, "verify", "a")
    assert done.stdout == "a\\x1b]0;owned\\x07\nb\n"


def test_what_was_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"format": "cosign-simple", "key": "ab" * 32, "bound": "r.example.com/app:1"}
    answer = {"digest": "sha256:1", "signatures": [made], "already": False}
    done, asked = typed(monkeypatch, answer, "sign", "app:1", "--reason", "was pushed before")
    assert done.exit_code == Exit.FINE
    assert asked == [("POST", "sign", {"ref": "app:1", "reason": "was pushed before"})]
    assert done.stdout == "signed sha256:1\n  cosign-simple by key abababababab for r.example.com/app:1\n"


def test_the_journal_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ("at", "who", "how", "repository", "reference", "digest", "reason", "decision_id", "policy_revision")
    row = {**dict.fromkeys(told, "x"), "kind": "key.created", "detail": {}}
    page = {"items": [row], "next": "c1"}
    done, asked = typed(monkeypatch, page, "journal", "--limit", "3", "--kind", "key.created", "-o", "json")
    assert json.loads(done.stdout) == {"items": [row] * 3}
    assert [what[1] for what in asked] == [
        f"journal?kind=key.created&limit={left}{cursor}"
        for left, cursor in ((3, ""), (2, "&cursor=c1"), (1, "&cursor=c1"))
    ]
