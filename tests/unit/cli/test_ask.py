"""How answers of the server are printed, and which exit code they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import ask
from proxy.cli.admin import Endpoint
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat, socket_beside
from proxy.cli.local import understood
from proxy.oci.faults import Fault, Unavailable

SOCKET = Path("/nowhere/countersign.sock")


def answering(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The server answers this; returns what it was asked."""
    asked: list[tuple[Any, ...]] = []

    def reply(*what: Any, post: bool = False) -> dict[str, Any]:
        asked.append((*what, post))
        return answer

    monkeypatch.setattr(ask, "ask", reply)
    return asked


CODES = {"passed": Exit.FINE, "failed": Exit.NO, "inconclusive": Exit.INCONCLUSIVE, "new": Exit.NO}


@pytest.mark.parametrize(("outcome", "code"), CODES.items())
def test_the_code_says_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcome: str, code: Exit
) -> None:
    asked = answering(monkeypatch, {"outcome": outcome, "text": "the whole story\n"})
    assert ask.verify(SOCKET, "prod/app:1", OutputFormat.TEXT) == code
    assert asked == [(SOCKET, "verify", {"ref": "prod/app:1"}, True)]
    assert capsys.readouterr().out == "the whole story\n"


def test_json_is_the_decision_and_pure_ascii(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, {"outcome": "failed", "repository": "\x1b[31m", "text": "x"})
    ask.verify(SOCKET, "a", OutputFormat.JSON)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert json.loads(printed) == {"outcome": "failed", "repository": "\x1b[31m"}


def test_nothing_a_terminal_would_obey_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, {"outcome": "failed", "text": "a\x1b]0;owned\x07\nb"})
    ask.verify(SOCKET, "a", OutputFormat.TEXT)
    assert capsys.readouterr().out == "a?]0;owned?\nb\n"


def test_what_was_signed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"format": "cosign-simple", "key": "ab" * 32, "bound": "r.example.com/app:1"}
    asked = answering(monkeypatch, {"digest": "sha256:1", "signatures": [made]})
    assert ask.sign(Endpoint(socket=SOCKET), "app:1", "was pushed before", OutputFormat.TEXT) == Exit.FINE
    assert asked[0][2] == {"ref": "app:1", "reason": "was pushed before"}
    assert capsys.readouterr().out == "signed sha256:1\n  cosign-simple by key abababababab for r.example.com/app:1\n"


def test_status_names_what_is_wrong_and_the_next_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {
        "what": "token hsm: away",
        "since": "10:00",
        "stops": "pushes",
        "next": "countersign doctor",
    }
    answering(monkeypatch, {"name": "c", "url": "https://r", "started": "then", "problems": [problem]})
    assert ask.status(Endpoint(socket=SOCKET), OutputFormat.TEXT) == Exit.NO
    printed = capsys.readouterr().out
    assert "WRONG: token hsm: away (since 10:00)\n  stops  pushes\n  next   countersign doctor\n" in printed


def test_status_when_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, {"name": "c", "url": "https://r", "started": "then", "problems": []})
    assert ask.status(Endpoint(socket=SOCKET), OutputFormat.TEXT) == Exit.FINE
    assert capsys.readouterr().out.endswith("problems  none\n")


def test_the_socket_is_beside_the_file() -> None:
    assert socket_beside(Path("/etc/countersign/countersign.yaml")) == Path("/etc/countersign/countersign.sock")


def test_errors_in_the_server_s_own_words() -> None:
    body = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "app:1 is not in the registry"}]}).encode()
    with pytest.raises(Fault, match="app:1 is not in the registry") as caught:
        understood(404, body)
    assert (caught.value.code, caught.value.status) == ("MANIFEST_UNKNOWN", 404)


@pytest.mark.parametrize("body", [b"{}", b'{"errors": []}', b"[]", b'{"errors": [{"code": "X"}]}'])
def test_errors_without_words(body: bytes) -> None:
    with pytest.raises(Fault, match="the server answered 500"):
        understood(500, body)


def test_an_answer_of_another_program() -> None:
    with pytest.raises(Unavailable, match="does another program use this socket"):
        understood(200, b"<html>")
