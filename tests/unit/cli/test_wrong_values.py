"""What is wrong with what a person typed was told in the words of the API, by the server, or not at all.

Every argument and option of every command is given values that it cannot take; nothing may be sent.
"""

from __future__ import annotations

import http.client
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
import typer.main

from proxy.admin.operation import Argument, Operation, Option
from proxy.backlog.operations import OPERATIONS as BACKLOG
from proxy.cli import app
from proxy.cli.exits import Exit
from proxy.cli.typed import key_of, marked, spelled
from proxy.server.operations import OPERATIONS as ALL
from tests.unit.config.test_settings import SIGNING

INSIDE = re.compile(
    r"/admin/v1|Value error|Input should|String should|validation error|Traceback|pydantic|"
    r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b"  # a class name
)
OPERATIONS = [each for each in ALL if each not in BACKLOG]  # theirs is `sign`, whose words are written by hand
NASTY = ("", "\x1b[31m", "a\nb", "\u202eb", "\udcff")
# A right value for what is not tried, by what it is called; the rest takes any text.
RIGHT = {
    "ref": "team/app:1", "question": "team/app:1", "target": "team/app", "repository": "team/app", "name": "ci-plan",
    "fingerprint": "abcdef0123", "profile": "release", "id": "abcdefgh", "number": "1", "old": "1", "new": "2",
    "seconds": "2h", "subject": "CN=x", "roles": "viewer",
}  # fmt: skip
# Where any line of text may be one.
ANY_LINE = {"label", "subject"}
LINE = ("", "\x1b[31m", "a\nb", "\udcff")
# a row may be about anything that a client asked for, of anybody, with a reason of the registry
FREE = {("journal", name) for name in ("repository", "digest", "who", "reason")}
# More of what is wrong, by the name of the field or path parameter.
WRONG = {
    "ref": ("Team/App:1", "team/app@sha256:6dc0", "a b", "é/x"),
    "question": ("Team/App:1", "a b", "é"),
    "target": ("team/app:1", "sha256:6dc0", "Team/**", "**x", "é"),
    "repository": ("Team/app", "a b", "é", "team/app:1"),
    "repositories": ("Team/app", "a b", "é"),
    "digest": ("6dc0", "sha256:6dc0", "SHA256:" + "A" * 64, "team/app:1"),
    "id": ("x", "ABCDEFGH", "é" * 8, "a" * 30, "../../x"),
    "fingerprint": ("BB563D", "zz" * 8, "é" * 8, "a" * 65, "x"),
    "profile": ("a/b", "é", "../x", "-x"),
    "number": ("x", "-1", "1.5", "é", "9" * 12),
    "confirm": ("zz", "é", "a" * 65),
    "overlap": ("dual-sign:14", "dual:14d", "é"),
    "retire_after": ("30", "soon", "-1d", "é"),
    "name": ("-x", "system", "a/b", "x" * 81),
    "write_to": ("Team/app", "team/app:1"),
    "kind": ("nosuch", "é"),
    "state": ("nosuch", "é"),
    "token": ("-x", "a/b", "é", "x" * 64),
    "roles": ("root", "é"),
    "text": ("/nosuch.yaml", "/"),
    "chain": ("/nosuch.pem", "/"),
}  # fmt: skip
OF_ONE = {
    ("list_jobs", "kind"): ("Resign", "é"),
    ("import_key", "id"): ("zz", "1", "é", "a" * 66),
    ("create_token", "fingerprint"): ("x", "a" * 12, "é"),
}
BY_READING = {
    "moment": ("yesterday", "2027", "7", "2027-13-01", "é", "-2h"),
    "since": ("yesterday", "7", "2027-13-01", "é", "99999999d"),
    "time": ("yesterday", "2027-01-31", "2027-01-31T08:00:00", "2027", "é"),
    "seconds": ("30", "soon", "1.5h", "-2h", "0s", "9999d", "é"),
    "number": ("x", "-1", "1.5", "99999999999", "é"),
}


@dataclass(frozen=True)
class Place:
    """One argument or option, and what it cannot be."""

    operation: Operation
    name: str
    spelled: str
    values: tuple[str, ...]


def places() -> Iterator[Place]:
    for operation in OPERATIONS:
        words, route = operation.command.words, operation.route
        for name in route.path_params if words else ():
            yield Place(operation, name, "", (*NASTY, *(BY_NAME if operation.command.may_name else WRONG[name])))
        if words and route.body is not None and "reason" in route.body.model_fields:
            yield Place(operation, "reason", "--reason", (*LINE, "x" * 501))
        for name, _, mark in marked(operation) if words else ():
            if mark.reads == "flag" or (route.name, name) in FREE:
                continue
            nasty = LINE if name in ANY_LINE else NASTY
            values = OF_ONE.get((route.name, name)) or BY_READING.get(mark.reads) or WRONG.get(name, ())
            yield Place(operation, name, "" if isinstance(mark, Argument) else spelled(name, mark), (*nasty, *values))


BY_NAME = ("Team/app", "team/app:1", "sha256:6dc0", "é")
PLACES = list(places())


def command_line(place: Place, value: str, file: Path) -> list[str]:
    """The words of the command with this value at this place, and right ones where something is needed."""
    command: Any = typer.main.get_command(app.whole())
    for word in place.operation.command.words.split():
        command = command.commands[word]
    fields = {key_of(name): name for name, _, _ in marked(place.operation)}
    words = place.operation.command.words.split()
    files = {key_of(name) for name, _, mark in marked(place.operation) if mark.file is not None}
    after: list[str] = []
    for parameter in command.params:
        name = fields.get(parameter.name, parameter.name)
        tried = name == place.name
        right = str(file) if parameter.name in files else RIGHT.get(name, "x")
        if isinstance(parameter, click.Argument) or parameter.param_type_name == "argument":
            after += (
                [value if tried else right]
                if tried or parameter.required or name in ("ref", *place.operation.route.path_params)
                else []
            )
        elif tried:
            words += [f"{place.spelled}={value}"]
        elif parameter.required:
            words += [f"{parameter.opts[0]}={right}"]
    return [*words, "--", *after]


class Sent(AssertionError):
    """Something went to a server."""


def refuse(*_: object) -> NoReturn:
    raise Sent


@pytest.mark.parametrize(
    "place",
    PLACES,
    ids=lambda place: f"{place.operation.command.words} {place.spelled or place.name}".replace(" ", "-"),
)
def test_a_wrong_value_was_sent_or_told_in_the_words_of_the_inside(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text("policies: []\n")
    (tmp_path / "countersign.yaml").write_text("")
    monkeypatch.setenv("COUNTERSIGN_CONFIG", str(tmp_path))
    monkeypatch.setattr(http.client.HTTPConnection, "request", refuse)
    told = {}
    for value in dict.fromkeys(place.values):
        monkeypatch.setattr(sys, "argv", ["countersign", *command_line(place, value, file)])
        with pytest.raises(SystemExit) as left:
            app.run()
        printed = capsys.readouterr()
        told[value] = (left.value.code, printed.out, printed.err)
    wrong = {
        value: each for value, each in told.items()
        if each[0] != Exit.USAGE or each[1] or INSIDE.search(each[2]) or place.spelled.lower() not in each[2].lower()
    }  # fmt: skip
    assert wrong == {}
    inert = "".join(err for _, _, err in told.values()).replace("\n", "")
    assert inert.isprintable()


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("client-config lynx", "CLIENT lynx"), ("client-config docker -o xml", "--output xml"),
        ("config explain Team/App", "REPOSITORY Team/App"), ("config validate -o xml", "--output xml"),
        ("jobs watch x", "ID x"), ("jobs watch é", "ID 'é'"), ("trust export --image a:1", "--image"),
        ("breakglass --offline --repository Team/App --reason r", "--repository Team/App"),
        ("breakglass --offline --repository a --digest sha256:x --reason r", "--digest sha256:x"),
        ("breakglass --offline --repository a --reason r --for 3d", "--for 3d"),
        ("breakglass --offline --repository a --reason r --for soon", "--for soon"),
        ("breakglass --offline --repository a", "--reason ''"), ("breakglass --repository a", "--offline"),
    ],
)  # fmt: skip
def test_commands_by_hand_say_it_likewise(
    words: str, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "countersign.yaml").write_text(SIGNING)
    monkeypatch.setenv("COUNTERSIGN_CONFIG", str(tmp_path))
    monkeypatch.setattr(http.client.HTTPConnection, "request", refuse)
    monkeypatch.setattr(sys, "argv", ["countersign", *words.split()])
    with pytest.raises(SystemExit) as left:
        app.run()
    printed = capsys.readouterr()
    assert (left.value.code, printed.out) == (Exit.USAGE, "")
    assert label in printed.err
    assert INSIDE.search(printed.err) is None
    assert [each.name for each in tmp_path.iterdir()] == ["countersign.yaml"]


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (("Team/App:1",), "REF"), (("team/app:1", "--reason="), "--reason"), (("team/**", "--reason=a\nb"), "--reason"),
        (("--from=/nosuch",), "--from"), (("--from=",), "--from"), (("--from=x", "team/app"), "--from"),
        (("--unsigned-pulled", "--since=yesterday"), "--since"), (("--unsigned-pulled", "--since="), "--since"),
        (("team/app:1", "--since=2d"), "--since"), ((), "REF"), (("team/**", "-o=xml"), "--output"),
    ],
)  # fmt: skip
def test_sign_sent_what_it_could_not_take(
    words: tuple[str, ...], label: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "request", refuse)
    monkeypatch.setattr(sys, "argv", ["countersign", "sign", "--reason=r", *words])
    with pytest.raises(SystemExit) as left:
        app.run()
    printed = capsys.readouterr()
    assert (left.value.code, printed.out) == (Exit.USAGE, "")
    assert label in printed.err
    assert INSIDE.search(printed.err) is None


def test_every_field_of_every_command_is_tried() -> None:
    tried = {(place.operation.route.name, place.name) for place in PLACES}
    wanted = {
        (operation.route.name, name)
        for operation in OPERATIONS if operation.command.words
        for name, _, mark in marked(operation) if mark.reads != "flag"
    }  # fmt: skip
    assert wanted - tried == FREE
    assert len(tried) > 60
    assert all(isinstance(mark, Argument | Option) for op in OPERATIONS for _, _, mark in marked(op))
