"""Certificates on the command line: what is asked of the server, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import admin, agreed
from proxy.cli.admin import Endpoint
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.keys.chain_operations import request_certificate, self_sign_key, set_chain, show_chain
from proxy.oci.faults import ConfigError, Invalid

PLACE = Endpoint(socket=Path("/nowhere/countersign.sock"))
CERTIFICATE = {
    "subject": "CN=release\x1b[2J",
    "issuer": "CN=root",
    "serial": "1",
    "thumbprint": "ab" * 32,
    "first": "2026-01-02T12:00:00+00:00",
    "last": "2027-01-02T12:00:00+00:00",
}
SHOWN = {"fingerprint": "cd" * 32, "profile": "release", "self_signed": True, "certificates": [CERTIFICATE]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    def reply(place: Endpoint, *what: Any) -> dict[str, Any]:
        assert place is PLACE
        asked.append(what)
        if what[1].endswith("/csr"):
            return {"csr": "-----BEGIN CERTIFICATE REQUEST-----\nMII\n-----END CERTIFICATE REQUEST-----\n"}
        return {"plan": ["a step"]} if "dry_run" in what[1] else SHOWN

    monkeypatch.setattr(agreed, "call", reply)
    monkeypatch.setattr(admin, "call", reply)
    return asked


def show(form: OutputFormat) -> Exit:
    return carry_out(show_chain, PLACE, {"fingerprint": "abcdef01", "output": form})


HOW = {"fingerprint": "abcdef01", "reason": "r", "dry_run": False, "yes": False, "output": OutputFormat.TEXT}


def put(file: Path) -> Exit:
    return carry_out(set_chain, PLACE, {**HOW, "chain": file, "yes": True})


def test_a_request_is_printed_alone(asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    given = {"fingerprint": "ABCDEF01", "subject": "CN=x", "output": OutputFormat.TEXT}
    assert carry_out(request_certificate, PLACE, given) is Exit.FINE
    assert asked == [("POST", "keys/ABCDEF01/csr", {"subject": "CN=x"})]
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], len(lines)) == ("-----BEGIN CERTIFICATE REQUEST-----", 3)


def test_a_chain_is_shown_as_a_table_and_inert(
    asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert show(OutputFormat.TEXT) is Exit.FINE
    printed = capsys.readouterr().out
    assert "(self-signed)" in printed
    assert "CN=release\\x1b[2J" in printed
    assert show(OutputFormat.JSON) is Exit.FINE
    assert json.loads(capsys.readouterr().out) == SHOWN
    monkeypatch.setattr(admin, "call", lambda *_: {**SHOWN, "certificates": []})
    assert show(OutputFormat.TEXT) is Exit.NO
    assert "has no chain" in capsys.readouterr().out


def test_what_a_self_signed_chain_is_worth_is_said_when_it_is_made(
    asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {**HOW, "days": 3, "subject": None}
    assert carry_out(self_sign_key, PLACE, {**given, "dry_run": True}) is Exit.FINE
    assert capsys.readouterr().err == ""
    assert carry_out(self_sign_key, PLACE, {**given, "yes": True}) is Exit.FINE
    assert "for development only" in capsys.readouterr().err
    assert asked[-1] == ("POST", "keys/abcdef01/self-signed", {"days": 3, "reason": "r"})


def test_the_file_is_read_whole_and_bounded(asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.write_text("PEM")
    assert put(file) is Exit.FINE
    assert asked == [("POST", "keys/abcdef01/chain", {"chain": "PEM", "reason": "r"})]
    for content, why in ((b"x" * 60_001, "more than 60000 bytes"), (b"\x30\x82\xff", "allowed: PEM text")):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=why):
            put(file)
    with pytest.raises(Invalid, match=r"FILE .*none: there is no such file"):
        put(tmp_path / "none")
