"""Keys on the command line: shown as a table, changed once the plan was shown and agreed to."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import admin, agreed
from proxy.cli.admin import Endpoint
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.keys import shapes
from proxy.keys.operations import list_keys, rotate_key
from proxy.oci.faults import Invalid

PLACE = Endpoint(socket=Path("/nowhere/countersign.sock"))
KEY = {
    "profile": "release",
    "fingerprint": "ab" * 32,
    "state": "active",
    "since": "2026-01-02T12:00:00+00:00",
    "created": "2025-07-01T12:00:00+00:00",
    "algorithm": "ecdsa-p256",
    "token": "hsm",
    "token_serial": "1",
    "label": "release",
    "public_key": "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n",
    "activate_at": None,
    "signs_until": None,
    "retire_after": None,
}
WANTED = {"reason": "Tuesday"}
PLANNED = ("POST", "keys/release/rotate?dry_run=true", WANTED)
DONE = ("POST", "keys/release/rotate", WANTED)
GIVEN = {**WANTED, "profile": "release", "overlap": None, "retire_after": None, "token_": None}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    def reply(place: Endpoint, *what: Any) -> dict[str, Any]:
        assert place is PLACE
        asked.append(what)
        if "dry_run" in what[1]:
            return {"plan": ["make a key", "sign with it\x1b[2J"], "done": False}
        return {"new": KEY, "old": None}

    monkeypatch.setattr(agreed, "call", reply)
    return asked


def rotate(form: OutputFormat = OutputFormat.TEXT, **how: Any) -> Exit:
    return carry_out(rotate_key, PLACE, {**GIVEN, "dry_run": False, "yes": False, "output": form, **how})


@pytest.mark.parametrize(("said", "yes"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False)])
def test_the_plan_is_shown_before_anything_is_done(
    said: str,
    yes: bool,
    asked: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    code = rotate()
    printed = capsys.readouterr()
    assert asked == ([PLANNED, DONE] if yes else [PLANNED])
    assert code == (Exit.FINE if yes else Exit.NO)
    assert printed.err.startswith("  - make a key\n  - sign with it\\x1b[2J\nDo this? [y/N] ")
    assert ("nothing was done" in printed.err) is not yes
    assert printed.out.startswith(f"key {'ab' * 32} of release is active\n-----BEGIN") is yes


def test_without_a_terminal_nobody_can_agree(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert rotate() == Exit.NO
    assert asked == [PLANNED]
    assert "pass --yes" in capsys.readouterr().err


def test_scripts_say_yes_and_read_json(asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert rotate(form=OutputFormat.JSON, yes=True) == Exit.FINE
    assert asked == [DONE]
    assert json.loads(capsys.readouterr().out)["new"] == KEY


@pytest.mark.parametrize("form", OutputFormat)
def test_a_dry_run_changes_nothing(
    form: OutputFormat, asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate(form=form, dry_run=True, yes=True) == Exit.FINE
    assert asked == [PLANNED]
    assert "make a key" in capsys.readouterr().out


def test_what_a_person_types_stays_within_its_place(asked: list[tuple[Any, ...]]) -> None:
    with pytest.raises(Invalid, match=r"PROFILE '\.\./tokens x': write a name as under `keys`"):
        rotate(profile="../tokens x", yes=True)
    assert asked == []


def test_what_is_typed_is_what_the_server_gets(asked: list[tuple[Any, ...]]) -> None:
    rotate(overlap="none", retire_after="30d", token_="spare", yes=True)
    assert asked == [(*DONE[:2], {**WANTED, "overlap": "none", "retire_after": "30d", "token": "spare"})]


def test_the_new_key_is_told_before_the_old_one_and_with_its_public_half() -> None:
    old = {**KEY, "fingerprint": "cd" * 32, "state": "trusted", "signs_until": "2027-01-02T12:00:00Z"}
    both = shapes.replaced({"new": KEY, "old": old})
    assert [line.split()[0] for line in both[:4]] == ["key", "key", "it", "-----BEGIN"]
    assert both[2] == "  it signs beside the active key until 2027-01-02 12:00 UTC"
    assert shapes.replaced({"new": None, "old": old}) == both[1:3]


def listed(monkeypatch: pytest.MonkeyPatch, *strays: dict[str, str], not_looked: str = "") -> None:
    monkeypatch.setattr(admin, "listing", lambda *_: ([KEY], ""))
    monkeypatch.setattr(admin, "call", lambda *_: {"items": list(strays), "not_looked": not_looked})


def show(form: OutputFormat) -> Exit:
    return carry_out(list_keys, PLACE, {"output": form})


def test_the_list_is_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    listed(monkeypatch)
    assert show(OutputFormat.TEXT) == Exit.FINE
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["PROFILE", "KEY", "STATE", "SINCE", "CREATED", "ALGORITHM", "TOKEN", "LABEL", "THEN"]
    assert row.split() == f"release {'ab' * 6} active 2026-01-02 12:00 2025-07-01 ecdsa-p256 hsm release".split()


@pytest.mark.parametrize("form", OutputFormat)
def test_a_key_in_no_record_is_shown_and_is_code_1(
    form: OutputFormat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = {"token": "hsm", "label": "release-x", "fingerprint": "cd" * 32}
    listed(monkeypatch, stray)
    assert show(form) == Exit.NO
    printed = capsys.readouterr().out
    assert "release-x" in printed
    assert form is OutputFormat.JSON or "'release-x' on token hsm: it is not in the key book" in printed
    if form is OutputFormat.JSON:
        assert json.loads(printed) == {"keys": [KEY], "unrecorded": [stray], "not_looked": ""}


def test_tokens_that_were_not_looked_at_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(monkeypatch, not_looked="token 'hsm' is away")
    assert show(OutputFormat.TEXT) == Exit.FINE
    assert "the tokens were not examined: token 'hsm' is away" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        ({}, ""),
        ({"state": "prepared", "activate_at": "2027-01-02T12:00:00Z"}, "active at 2027-01-02 12:00"),
        (
            {"state": "trusted", "signs_until": "2027-01-02T12:00:00Z", "retire_after": "2027-03-02T12:00:00Z"},
            "signs until 2027-01-02 12:00, retired at 2027-03-02 12:00",
        ),
        ({"state": "retired", "retire_after": "2027-03-02T12:00:00Z"}, ""),
    ],
)
def test_the_list_says_what_is_set_to_happen(moments: Mapping[str, str], said: str) -> None:
    assert shapes.table([{**KEY, **moments}])[1][-1] == said
