"""Commands made of operations: what is typed is what the API gets, and what it gives is what is printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from proxy.admin.operation import Argument, Call, Command, Operation, Option, Row, Scope, operation
from proxy.admin.shapes import Page, Why
from proxy.cli import admin
from proxy.cli.operations import group
from proxy.oci.faults import ConfigError, Fault
from proxy.trust.roles import Permission


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Shown(BaseModel):
    """Something."""

    id: str


class New(Why, frozen=True):
    """Something new."""

    name: Annotated[str, Argument("NAME")] = Field(description="what it is called")
    colours: Annotated[tuple[Colour, ...], Option(reads="several", spelled="--colour")] = Field(description="which")
    days: Annotated[int, Option("N", reads="number")] = Field(default=90, ge=1, le=366, description="how long")
    until: Annotated[str | None, Option("WHEN", reads="moment")] = Field(default=None, description="its end")
    seconds: Annotated[int, Option("SPAN", reads="seconds", spelled="--for")] = Field(description="how long it lasts")
    loud: Annotated[bool, Option(reads="flag")] = Field(default=False, description="whether")
    about: Annotated[str | None, Option("REPO")] = Field(default=None, description="where")


class Which(Page, frozen=True):
    """Which of them."""

    colour: Annotated[Colour | None, Option(reads="choice")] = Field(default=None, description="of this colour only")


def named(rows: Sequence[Row], typed: str) -> str:
    found = [row["id"] for row in rows if row["name"] == typed]
    if not found:
        raise Fault("NAME_UNKNOWN", f"{typed} is none")
    return str(found[0])


async def planned(_: Call) -> tuple[str, ...]:
    return ("make it",)


@operation("POST /things", Permission.DENY, Command("things add", lambda row: [f"made {row['id']}"]), plan=planned)
async def add_thing(call: Call, body: New) -> Shown:
    """Make a thing."""
    raise NotImplementedError


@operation(
    "GET /things", Permission.STATUS, about=Scope.LIST, query=Which,
    command=Command(
        "things list", rows="things", empty="no things", waits=lambda rows: len(rows) > 1,
        table=lambda rows: [("ID", "NAME"), *((row["id"], row["name"]) for row in rows)],
    ),
)  # fmt: skip
async def list_things(call: Call) -> Shown:
    """List things."""
    raise NotImplementedError


@operation(
    "POST /things/{id}/end", Permission.DENY,
    Command("things end", lambda _: ["ended"], named=named, named_in="things", metavar="NAME", note="what came of it"),
)  # fmt: skip
async def end_thing(call: Call, body: Why) -> Shown:
    """End a thing."""
    raise NotImplementedError


THINGS: tuple[Operation, ...] = (add_thing, list_things, end_thing)


class Server:
    """What the API was asked, and two things that it has."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.rows = [{"id": "a1", "name": "one"}, {"id": "b2", "name": "two"}]

    def call(self, place: admin.Endpoint, method: str, path: str, body: object = None) -> dict[str, Any]:
        self.asked.append((method, path, body))
        if path.endswith("?dry_run=true"):
            return {"plan": ["make it"]}
        return {"items": self.rows, "next": None} if method == "GET" else {"id": "a1"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr("proxy.cli.admin.call", made.call)
    monkeypatch.setattr("proxy.cli.agreed.call", made.call)
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "token")
    return made


def typed(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(group("things", "Things.", THINGS), [*words, "--server", "http://localhost:1"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_every_kind_of_option_reaches_the_body(server: Server) -> None:
    code, out = typed(
        "add", "it", "--reason", "r", "--colour", "red", "--colour", "blue", "--days", "7", "--for", "2h",
        "--until", "2027-01-31", "--loud", "--about", "team/app", "--yes",
    )  # fmt: skip
    assert (code, out) == (0, "made a1\n")
    ((method, path, body),) = server.asked
    assert (method, path) == ("POST", "things")
    assert body == {
        "reason": "r", "name": "it", "colours": ["red", "blue"], "days": 7, "until": "2027-01-31T00:00:00+00:00",
        "seconds": 7200, "loud": True, "about": "team/app",
    }  # fmt: skip


def test_what_is_not_typed_is_left_to_its_default(server: Server) -> None:
    typed("add", "it", "--reason", "r", "--colour", "red", "--for", "2h", "--yes")
    ((_, _, body),) = server.asked
    assert (body["days"], body["until"], body["loud"], body["about"]) == (90, None, False, None)


def test_a_plan_is_shown_and_nothing_is_done(server: Server) -> None:
    code, out = typed("add", "it", "--reason", "r", "--colour", "red", "--for", "2h", "--dry-run")
    assert (code, out) == (0, "  - make it\n")
    assert [path for _, path, _ in server.asked] == ["things?dry_run=true"]


def test_nobody_agrees_where_there_is_no_terminal(server: Server) -> None:
    code, _ = typed("add", "it", "--reason", "r", "--colour", "red", "--for", "2h")
    assert code == 1
    assert [path for _, path, _ in server.asked] == ["things?dry_run=true"]


@pytest.mark.parametrize(
    "wrong", [("--colour", "green"), ("--days", "0"), ("--days", "367"), ("--days", "many"), ("--no-such",)]
)
def test_what_is_no_value_of_an_option_is_said_before_anything_is_sent(server: Server, wrong: tuple[str, ...]) -> None:
    code, _ = typed("add", "it", "--reason", "r", "--colour", "red", "--for", "2h", "--yes", *wrong)
    assert code == 2
    assert server.asked == []


@pytest.mark.parametrize("wrong", [("--for", "soon"), ("--for", "2h", "--until", "soon")])
def test_spans_and_moments_name_their_option(server: Server, wrong: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=wrong[-2]):
        typed("add", "it", "--reason", "r", "--colour", "red", "--yes", *wrong)
    assert server.asked == []


def test_a_list_is_a_table_or_json_and_its_code_says_what_waits(server: Server) -> None:
    assert typed("list") == (1, "ID  NAME\na1  one\nb2  two\n")
    assert json.loads(typed("list", "-o", "json")[1]) == {"things": server.rows}
    server.rows = []
    assert typed("list", "--colour", "red") == (0, "no things\n")
    assert "colour=red" in server.asked[-1][1]


def test_a_row_is_found_by_what_people_call_it(server: Server) -> None:
    assert typed("end", "two", "--note", "fine") == (0, "ended\n")
    assert server.asked[-1] == ("POST", "things/b2/end", {"reason": "fine"})
    with pytest.raises(Fault, match="three is none"):
        typed("end", "three", "--note", "fine")
