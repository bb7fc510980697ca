"""`countersign tokens`: where the server is, and what is never taken for an id."""

import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import admin
from proxy.cli import app as module
from proxy.cli.admin import Endpoint
from proxy.cli.exits import Exit
from tests.unit.config.test_settings import SIGNING


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["countersign", "tokens", *arguments])
    with pytest.raises(SystemExit) as left:
        module.run()
    return int(left.value.code or 0)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the server was asked; it answers with an empty page."""
    asked: list[tuple[Any, ...]] = []

    def call(*what: Any) -> dict[str, Any]:
        asked.append(what)
        return {"items": [], "next": None}

    monkeypatch.setattr(admin, "call", call)
    return asked


def test_with_a_server_the_token_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "from-the-environment\n")
    assert run(monkeypatch, "list", "--server", "http://127.0.0.1:5001") == Exit.FINE
    assert called == [
        (Endpoint(server="http://127.0.0.1:5001", token="from-the-environment"), "GET", "tokens?limit=1000")
    ]


def test_without_a_server_it_is_the_socket_and_no_token(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "x")
    (tmp_path / "countersign.yaml").write_text(SIGNING)
    assert run(monkeypatch, "list", "-c", str(tmp_path)) == Exit.FINE
    assert called[0][0] == Endpoint(socket=tmp_path / "countersign.sock", config=tmp_path / "countersign.yaml")


def test_a_token_given_as_an_id_goes_nowhere(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = f"csadm_0123456789ab_{'A' * 43}"
    assert run(monkeypatch, "revoke", secret, "--server", "http://127.0.0.1:5001") == Exit.USAGE
    assert called == []
    assert secret not in capsys.readouterr().err


def test_a_role_that_is_none_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "create", "x", "--role", "root") == Exit.USAGE
    assert "key-admin" in capsys.readouterr().err
    assert called == []


def test_a_token_is_not_in_what_is_printed_of_a_place() -> None:
    assert "secret" not in repr(Endpoint(server="http://h", token="secret"))
