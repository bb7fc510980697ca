"""Commands made of operations: what is typed is what the API gets, and what it gives is what is printed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from proxy.admin.operation import Argument, Call, Command, Operation, Option, Printed, Row, SavedAs, Scope, operation
from proxy.admin.paging import Page
from proxy.admin.shapes import Why
from proxy.cli import admin, agreed, progress
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out, group
from proxy.oci.faults import Fault, Invalid
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
    Command("things end", lambda _: ["ended"], named=named, named_in="things", metavar="NAME", reason="its outcome"),
)  # fmt: skip
async def end_thing(call: Call, body: Why) -> Shown:
    """End a thing."""
    raise NotImplementedError


class Text(Why, frozen=True):
    """What a thing is made of."""

    text: Annotated[str, Argument("FILE", file=lambda path: {"text": path.read_text()})] = Field(description="its text")
    token: Annotated[str, Option("NAME", spelled="--on")] = Field(default="", description="where")


@operation(
    "POST /things/{profile}/text", Permission.DENY, plan=planned,
    command=Command("things text set", lambda _: ["set"], waits=lambda row: row["id"][0] == "a", reason="what is new"),
)  # fmt: skip
async def set_text(call: Call, body: Text) -> Shown:
    """Set the text of a thing."""
    raise NotImplementedError


class Sure(Why, frozen=True):
    """That this thing, and no other, is the one."""

    confirm: Annotated[str, Option("NAME", prompt="Type its name: ")] = Field(default="", description="its name")


@operation("POST /things/{id}/burn", Permission.DENY, Command("things burn", lambda _: ["burnt"]), plan=planned)
async def burn_thing(call: Call, body: Sure) -> Shown:
    """Burn a thing."""
    raise NotImplementedError


@operation("POST /things/{id}/polish", Permission.DENY, Command("things polish", lambda _: ["started"], job=True))
async def polish_thing(call: Call) -> Shown:
    """Polish a thing, in a job."""
    raise NotImplementedError


@operation(
    "GET /things/{id}/picture", Permission.STATUS,
    Command("things picture", saved_as=(SavedAs("--svg", "as a drawing", lambda row: f"<{row['next']}>"),)),
)  # fmt: skip
async def show_picture(call: Call) -> Shown:
    """Show a thing."""
    raise NotImplementedError


@operation(
    "GET /things/lost", Permission.STATUS,
    Command("", lambda row: [f"LOST: {len(row['items'])}"], rows="lost", waits=lambda row: bool(row["items"])),
)  # fmt: skip
async def list_lost(call: Call) -> Shown:
    """List what is lost."""
    raise NotImplementedError


@operation(
    "GET /things/kept", Permission.STATUS, about=Scope.LIST, query=Page,
    command=Command("things kept", table=lambda _: [("ID",)], rows="kept", empty="no things", below=list_lost),
)  # fmt: skip
async def list_kept(call: Call) -> Shown:
    """List what is kept, and below it what is lost."""
    raise NotImplementedError


class Drawn(Why, frozen=True):
    """A drawing."""

    text: Annotated[str, Argument("FILE", file=lambda path: {"text": path.read_text(), "title": path.name})] = Field(
        description="the drawing"
    )
    title: str = Field(description="its name")
    base: Annotated[int, Option("N", reads="number", first_of="things")] = Field(ge=0, description="what it is made of")
    size: Annotated[int, Option(reads="number", default=3)] = Field(default=9, description="how large")


def _drawn(row: Row, given: Any) -> Printed:
    return Printed([f"of {given['text']}", ("A", "B")], diff=["- old"], raw="as it is\n", json=row, code=2)


@operation("POST /things/draw", Permission.DENY, Command("things draw", shows=_drawn, job=True), status=202)
async def draw_thing(call: Call, body: Drawn) -> Shown:
    """Draw a thing, in a job."""
    raise NotImplementedError


_SHOW = Command("things show", lambda row: [str(row["id"])], metavar="NUMBER", listed_by="names")


@operation("GET /things/newest", Permission.STATUS, _SHOW)
async def newest_thing(call: Call) -> Shown:
    """Show the newest thing."""
    raise NotImplementedError


@operation("GET /things/{number}", Permission.STATUS, _SHOW)
async def one_thing(call: Call) -> Shown:
    """Show one thing."""
    raise NotImplementedError


class Two(BaseModel, frozen=True):
    """Two things."""

    one: Annotated[int, Argument("ONE", reads="number")] = Field(description="one")
    other: Annotated[int, Argument("OTHER", reads="number")] = Field(description="the other")


@operation("GET /things/alike", Permission.STATUS, Command("things alike", lambda _: ["yes"]), query=Two)
async def alike_things(call: Call) -> Shown:
    """Compare two things."""
    raise NotImplementedError


THINGS: tuple[Operation, ...] = (
    add_thing, list_things, end_thing, set_text, burn_thing, polish_thing, show_picture, list_lost, list_kept,
    draw_thing, newest_thing, one_thing, alike_things,
)  # fmt: skip


class Server:
    """What the API was asked, and two things that it has."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.rows = [{"id": "a1a1a1a1", "name": "one", "number": 4}, {"id": "b2", "name": "two", "number": 3}]
        self.job = {"id": "j1", "kind": "draw", "state": "done", "done": 1, "total": 1, "note": "", "result": {"x": 1}}

    def call(self, place: admin.Endpoint, method: str, path: str, body: object = None) -> dict[str, Any]:
        self.asked.append((method, path, body))
        if path.endswith("?dry_run=true"):
            return {"plan": ["make it"]}
        if path == "things/draw":
            return self.job
        single = {"things/newest": "b2", "things/4": "a1a1a1a1", "things/alike?one=1&other=2": ""}
        if path in single:
            return {"id": single[path]}
        return {"items": self.rows, "next": None} if method == "GET" else {"id": "a1a1a1a1"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    for module in (admin, agreed, progress):
        monkeypatch.setattr(module, "call", made.call)
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "token")
    return made


PLACE = admin.Endpoint(socket=Path("/nowhere/countersign.sock"))


def typed(*words: str) -> tuple[int, str]:
    offline = {"things end": (__name__, "ended_alone", "without a server")}
    done = CliRunner().invoke(group("things", "Things.", THINGS, offline), [*words, "--server", "http://localhost:1"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_every_kind_of_option_reaches_the_body(server: Server) -> None:
    code, out = typed(
        "add", "it", "--reason", "r", "--colour", "red", "--colour", "blue", "--days", "7", "--for", "2h",
        "--until", "2027-01-31", "--loud", "--about", "team/app", "--yes",
    )  # fmt: skip
    assert (code, out) == (0, "made a1a1a1a1\n")
    ((method, path, body),) = server.asked
    assert (method, path) == ("POST", "things")
    assert body == {
        "reason": "r", "name": "it", "colours": ["red", "blue"], "days": 7, "until": "2027-01-31T00:00:00+00:00",
        "seconds": 7200, "loud": True, "about": "team/app",
    }  # fmt: skip


def test_what_is_not_typed_is_left_to_its_default(server: Server) -> None:
    typed("add", "it", "--reason", "r", "--colour", "red", "--for", "2h", "--yes")
    ((_, _, body),) = server.asked
    assert (body["days"], body.get("until"), body["loud"], body.get("about")) == (90, None, False, None)


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
    words = ("add", "it", "--reason", "r", "--colour", "red", "--for", "2h", "--yes", *wrong)
    if len(wrong) == 1:
        assert typed(*words)[0] == 2
    else:
        with pytest.raises(Invalid, match=f"{' '.join(wrong)}: write (one of red, blue|a whole number from 1 to 366)"):
            typed(*words)
    assert server.asked == []


@pytest.mark.parametrize("wrong", [("--for", "soon"), ("--for", "2h", "--until", "soon")])
def test_spans_and_moments_name_their_option(server: Server, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match=f"{wrong[-2]} {wrong[-1]}: not a"):
        typed("add", "it", "--reason", "r", "--colour", "red", "--yes", *wrong)
    assert server.asked == []


def test_a_list_is_a_table_or_json_and_its_code_says_what_waits(server: Server) -> None:
    assert typed("list") == (1, "ID        NAME\na1a1a1a1  one\nb2        two\n")
    assert json.loads(typed("list", "-o", "json")[1]) == {"things": server.rows}
    server.rows = []
    assert typed("list", "--colour", "red") == (0, "no things\n")
    assert "colour=red" in server.asked[-1][1]


def test_a_row_is_found_by_what_people_call_it(server: Server) -> None:
    assert typed("end", "two", "--reason", "fine") == (0, "ended\n")
    assert server.asked[-1] == ("POST", "things/b2/end", {"reason": "fine"})
    with pytest.raises(Fault, match="three is none"):
        typed("end", "three", "--reason", "fine")


def test_the_words_of_an_operation_say_in_which_group_it_is() -> None:
    assert {each.name for each in group("things text", "Texts.", THINGS).registered_commands} == {"set"}
    assert "set" not in {each.name for each in group("things", "Things.", THINGS).registered_commands}


def test_a_file_takes_the_place_of_a_field(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    words = ("a.b", str(file), "--on", "hsm", "--reason", "r", "--yes")
    file.write_text("its text")
    runner = typer.Typer()
    runner.add_typer(group("things text", "Texts.", THINGS), name="text")
    runner.add_typer(group("things", "Things.", THINGS), name="other")
    done = CliRunner().invoke(runner, ["text", "set", *words, "--server", "http://localhost:1"])
    assert (done.exit_code, done.stdout) == (1, "set\n"), "1: it waits for something"
    assert server.asked == [("POST", "things/a.b/text", {"reason": "r", "text": "its text", "token": "hsm"})]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "sent"), [("one\n", ["one"]), ("\n", [])])
def test_what_cannot_be_undone_is_done_once_its_name_was_typed(
    server: Server, answer: str, sent: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    given = {"id": "a1a1a1a1", "reason": "r", "confirm": None, "dry_run": False, "output": OutputFormat.TEXT}
    assert carry_out(burn_thing, PLACE, given) is (Exit.FINE if sent else Exit.NO)
    assert [body["confirm"] for _, path, body in server.asked if "dry_run" not in path] == sent
    assert capsys.readouterr().err.startswith("  - make it\nType its name: ")


def test_without_a_terminal_its_name_is_an_option(server: Server) -> None:
    assert typed("burn", "a1a1a1a1", "--reason", "r") == (1, "")
    assert [path for _, path, _ in server.asked] == ["things/a1a1a1a1/burn?dry_run=true"]
    assert typed("burn", "a1a1a1a1", "--reason", "r", "--confirm", "one") == (0, "burnt\n")
    assert server.asked[1:] == [("POST", "things/a1a1a1a1/burn", {"reason": "r", "confirm": "one"})]
    with pytest.raises(Invalid, match="--yes: this cannot be undone; also give --confirm"):
        typed("burn", "a1a1a1a1", "--reason", "r", "--yes")
    assert typed("burn", "a1a1a1a1", "--reason", "r", "--yes", "--confirm", "one") == (0, "burnt\n")


def test_a_job_is_waited_for_unless_the_user_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.progress.followed", lambda *_: Exit.INCONCLUSIVE)
    assert typed("polish", "a1a1a1a1") == (5, "")
    assert typed("polish", "a1a1a1a1", "--no-wait") == (0, "started\n")


def test_a_result_is_printed_or_saved(server: Server, tmp_path: Path) -> None:
    assert json.loads(typed("picture", "a1a1a1a1")[1])["next"] is None
    assert typed("picture", "a1a1a1a1", "--svg", str(tmp_path / "a.svg")) == (0, "")
    assert (tmp_path / "a.svg").read_text() == "<None>"
    assert typed("picture", "a1a1a1a1", "-o", "json") == typed("picture", "a1a1a1a1")


def test_below_a_list_stands_what_belongs_to_it(server: Server) -> None:
    assert typed("kept") == (1, "ID\nLOST: 2\n")
    assert json.loads(typed("kept", "-o", "json")[1]) == {"kept": server.rows, "lost": server.rows, "next": None}
    server.rows = []
    assert typed("kept") == (0, "no things\nLOST: 0\n")


def ended_alone(given: Mapping[str, Any]) -> int:
    print(f"{given['id']}: {given['reason']}")
    return 0


def test_some_can_do_without_a_server(server: Server) -> None:
    assert typed("end", "two", "--reason", "fine", "--offline") == (0, "two: fine\n")
    assert server.asked == []
    assert typed("add", "it", "--offline")[0] == 2


def test_a_file_is_read_into_the_body_and_the_result_of_the_job_is_printed(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "cat"
    file.write_text("meow")
    code, out = typed("draw", str(file), "--reason", "r")
    assert (code, out) == (2, f"- old\nas it is\nof {file}\nA  B\n")
    assert server.asked[-1][2] == {"reason": "r", "text": "meow", "title": "cat", "base": 4, "size": 3}
    assert json.loads(typed("draw", str(file), "--reason", "r", "--base", "0", "-o", "json")[1]) == {"x": 1}
    assert server.asked[-1][2]["base"] == 0
    server.rows = []
    typed("draw", str(file), "--reason", "r")
    assert server.asked[-1][2]["base"] == 0


def test_a_job_that_was_cancelled_is_not_known_and_one_that_failed_says_why(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "cat"
    file.write_text("meow")
    server.job |= {"state": "cancelled"}
    assert typed("draw", str(file), "--reason", "r") == (5, "")
    server.job |= {"state": "failed", "note": "no paper"}
    with pytest.raises(Fault, match="job j1 failed: no paper"):
        typed("draw", str(file), "--reason", "r")


def test_two_operations_are_one_command_whose_argument_may_be_left_out(server: Server) -> None:
    assert typed("show") == (0, "b2\n")
    assert typed("show", "4") == (0, "a1a1a1a1\n")
    with pytest.raises(Invalid, match="NUMBER x: write a whole number"):
        typed("show", "x")


def test_arguments_of_a_query_are_sent_with_the_path(server: Server) -> None:
    assert typed("alike", "1", "2") == (0, "yes\n")
    with pytest.raises(Invalid, match="OTHER x: write a whole number"):
        typed("alike", "1", "x")
