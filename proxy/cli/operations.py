"""Commands generated from operations: their arguments, options and help, the call, and the output."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args
from urllib.parse import quote

import typer

from proxy.admin.operation import ROOT, Argument, Command, Operation, Option
from proxy.admin.shapes import Why
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of
from proxy.oci.faults import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from proxy.cli.admin import Endpoint

_EVERYWHERE = {
    "server": (Server, ""),
    "token": (Token, ""),
    "config": (Config, None),
    "output": (Output, OutputFormat.TEXT),
}
# The metavar and the help text of a path parameter, for those that are the same in every command.
_PATH_PARAMS = {
    "profile": ("PROFILE", "the name under `keys` in the configuration"),
    "fingerprint": ("KEY", "its fingerprint, or the first 8 digits of it or more"),
}
_WAIT = Annotated[bool, typer.Option("--wait/--no-wait", help="stay until it is done, with a bar")]
_NEEDED = inspect.Parameter.empty
_BOUNDS = (("ge", "min"), ("le", "max"))  # pydantic's name, typer's name
_Taken = tuple[Any, Any]  # the type of an argument or option, and its default


Offline = tuple[str, str, str]  # the module and function that do without a server, and the help text of `--offline`


def group(
    words: str, says: str, operations: Sequence[Operation], offline: Mapping[str, Offline] | None = None
) -> typer.Typer:
    """Return the group of the commands whose names are `words` and one more word. `offline` is by such a name."""
    made = typer.Typer(help=says, no_args_is_help=True)
    for each in operations:
        above, _, own = each.command.words.rpartition(" ")
        if above == words:
            made.command(own)(_command(each, (offline or {}).get(each.command.words)))
    return made


def _command(operation: Operation, offline: Offline | None) -> Callable[..., None]:
    def run(**given: Any) -> None:
        if offline is not None and given["offline"]:
            raise typer.Exit(getattr(import_module(offline[0]), offline[1])(given))
        place = place_of(given["server"], given["token"], given["config"])
        raise typer.Exit(carry_out(operation, place, given))

    taken = _own(operation)
    if offline is not None:
        taken["offline"] = (Annotated[bool, typer.Option("--offline", help=offline[2])], False)
    taken |= _EVERYWHERE
    if operation.command.saved_as:  # the result has one form
        del taken["output"]
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, kind, default=of[1], annotation=of[0]) for name, of in taken.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads both
    run.__annotations__ = {name: of[0] for name, of in taken.items()}
    run.__doc__ = operation.route.says
    return run


def _own(operation: Operation) -> dict[str, _Taken]:
    """Return this command's own arguments and options, without those common to all commands."""
    route, command, marked = operation.route, operation.command, _marked(operation)
    taken: dict[str, _Taken] = {}
    for name in route.path_params:
        shown = (command.metavar, f"as `{command.words.partition(' ')[0]} list` shows it")
        metavar, says = _PATH_PARAMS.get(name, shown)
        taken[name] = (Annotated[str, typer.Argument(metavar=metavar, help=says)], _NEEDED)
    for name, field, mark in marked:
        if isinstance(mark, Argument):
            kind: Any = Path if mark.file_bytes else str
            taken[_key(name)] = (Annotated[kind, typer.Argument(metavar=mark.metavar, help=field.description)], _NEEDED)
    if route.body is not None and issubclass(route.body, Why):
        why = typer.Option(
            "--note" if command.note else "--reason", metavar="TEXT", help=command.note or command.reason
        )
        taken["reason"] = (Annotated[str, why] if command.note or command.reason else Reason, _NEEDED)
    taken |= {_key(name): _option(name, field, mark) for name, field, mark in marked if isinstance(mark, Option)}
    for each in command.saved_as:
        saved = typer.Option(each.spelled, metavar="FILE", help=each.says)
        taken[each.spelled.strip("-")] = (Annotated[Path | None, saved], None)
    taken |= {"wait": (_WAIT, True)} if command.job else {}
    taken |= {"dry_run": (DryRun, False)} if route.plans else {}
    return taken | ({"yes": (Yes, False)} if route.plans and command.asks and _prompted(operation) is None else {})


def _key(name: str) -> str:
    """Return the name of a field among the typed values, where `token` is the token for the admin API."""
    return f"{name}_" if name in _EVERYWHERE else name


def _marked(operation: Operation) -> list[tuple[str, FieldInfo, Argument | Option]]:
    shape = operation.route.body or operation.route.query
    fields = {} if shape is None else shape.model_fields
    marks = ((name, field, mark) for name, field in fields.items() for mark in field.metadata)
    return [(name, field, mark) for name, field, mark in marks if isinstance(mark, Argument | Option)]


def _option(name: str, field: FieldInfo, mark: Option) -> _Taken:
    inner = [each for each in get_args(field.annotation) if isinstance(each, type) and issubclass(each, Enum)]
    choice: Any = inner[0] if inner else str
    kinds: dict[str, _Taken] = {
        "flag": (bool, False),
        "number": (int, field.default),
        "choice": (choice | None, None),
        "several": (list[choice], []),
    }
    kind, default = kinds.get(mark.reads, (str, ""))
    bounds = {to: getattr(each, at) for each in field.metadata for at, to in _BOUNDS if hasattr(each, at)}
    option = typer.Option(
        _spelled(name, mark),
        metavar=mark.metavar or None,
        help=field.description,
        show_default=mark.reads == "number",
        **(bounds if mark.reads == "number" else {}),
    )
    return Annotated[kind, option], _NEEDED if field.is_required() else default


def _spelled(name: str, mark: Option) -> str:
    return mark.spelled or f"--{name.replace('_', '-')}"


def _prompted(operation: Operation) -> tuple[str, FieldInfo, Option] | None:
    """Return the field that the command asks for unless it is given."""
    options = ((name, field, mark) for name, field, mark in _marked(operation) if isinstance(mark, Option))
    return next((each for each in options if each[2].prompt), None)


def carry_out(operation: Operation, place: Endpoint, given: Mapping[str, Any]) -> Exit:
    """Call the operation on this server with the typed values; print the result. Raises what `call` raises."""
    from proxy.cli.admin import call, pages

    command, form, path = operation.command, given.get("output", OutputFormat.JSON), operation.route.path
    for name in operation.route.path_params:
        rows = pages(place, command.named_in) if command.named_in else []
        typed = given[name] if command.named is None else command.named(rows, given[name])
        path = path.replace(f"{{{name}}}", quote(typed, safe=""))
    path, read = path.removeprefix(f"{ROOT}/"), _read_all(operation, given)
    if command.table is not None:
        rows = pages(place, path, **{key: value for key, value in read.items() if value})
        below = None if command.below is None else call(place, "GET", command.below.route.path.removeprefix(f"{ROOT}/"))
        return _listed(command, rows, below, form)
    answer = _answer(operation, place, path, read, given)
    if isinstance(answer, Exit):
        return answer
    files = [(each, given[each.spelled.strip("-")]) for each in command.saved_as]
    for each, file in files:
        if file is not None:
            file.write_text(each.text(answer), encoding="utf-8")
    if any(file is not None for _, file in files):
        return Exit.FINE
    if command.job and given["wait"]:
        from proxy.cli.progress import followed

        return followed(place, answer, form)
    return _printed(command, answer, form)


def _answer(
    operation: Operation, place: Endpoint, path: str, read: dict[str, Any], given: Mapping[str, Any]
) -> dict[str, Any] | Exit:
    """Return the answer to the call, or the exit code if the plan was only shown or not confirmed."""
    from proxy.cli.admin import call
    from proxy.cli.agreed import Confirmation, agreed, typed

    route, prompted = operation.route, _prompted(operation)
    body = None if route.body is None else {name: value for name, value in read.items() if value is not None}
    if not route.plans or not (operation.command.asks or given["dry_run"]):
        return call(place, route.method, path, body)
    if body is None or prompted is None:
        manner = Confirmation(given["dry_run"], given.get("yes", False), given["output"])
        return agreed(place, path, body, manner, route.method)
    name, field, mark = prompted

    def ask() -> bool:
        body[name] = typed(mark.prompt, f"{_spelled(name, mark)} with {field.description}")
        return bool(body[name])

    manner = Confirmation(given["dry_run"], name in body, given["output"])
    return agreed(place, path, body, manner, route.method, ask=ask)


def _read_all(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the typed fields of the body or the query. Raises ConfigError."""
    read = {"reason": given["reason"]} if "reason" in given else {}
    for name, field, mark in _marked(operation):
        of = given[_key(name)]
        if isinstance(mark, Option):
            read[name] = _read(name, mark, of)
        else:
            read[name] = _text_of(of, mark.file_bytes, field.description) if mark.file_bytes else of
    return read


def _text_of(file: Path, most: int, allowed: str | None) -> str:
    """Return the text of a file. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(most + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: no text; allowed: {allowed}") from None
    if len(data) > most:
        raise ConfigError(f"{file}: more than {most} bytes; allowed: {allowed}")
    return text


def _read(name: str, mark: Option, typed: Any) -> Any:
    """Return the body's value for the typed text; None if not given. Raises ConfigError naming the option."""
    from datetime import UTC, datetime

    from proxy.cli.spans import moment_of, seconds_of

    if mark.reads in ("flag", "number"):
        return typed
    if mark.reads == "several":
        return [each.value if isinstance(each, Enum) else each for each in typed]
    if not typed:
        return None
    if mark.reads == "moment":
        return moment_of(typed, _spelled(name, mark), datetime.now(UTC)).isoformat()
    if mark.reads == "seconds":
        return seconds_of(typed, _spelled(name, mark))
    return typed.value if isinstance(typed, Enum) else typed


def _listed(command: Command, rows: list[dict[str, Any]], below: dict[str, Any] | None, form: OutputFormat) -> Exit:
    from proxy.cli.ask import json_out, lines_out, table

    waits = command.waits is not None and command.waits(rows)
    shown, lines = {command.rows: rows}, table(command.table(rows)) if rows and command.table else [command.empty]
    if below is not None and command.below is not None:
        under = command.below.command
        waits = waits or (under.waits is not None and under.waits(below))
        shown |= {under.rows if name == "items" else name: value for name, value in below.items()}
        lines += _laid_out(under, below)
    if form is OutputFormat.JSON:
        json_out(shown)
    else:
        lines_out(lines)
    return Exit.NO if waits else Exit.FINE


def _printed(command: Command, answer: Mapping[str, Any], form: OutputFormat) -> Exit:
    from proxy.cli.ask import json_out, lines_out
    from proxy.oci.faults import plain

    if command.aside is not None:
        sys.stderr.write("".join(f"{plain(line, 1000)}\n" for line in command.aside(answer)))
    if form is OutputFormat.JSON or command.lines is None:
        json_out(answer)
    else:
        lines_out(_laid_out(command, answer))
    return Exit.NO if command.waits is not None and command.waits(answer) else Exit.FINE


def _laid_out(command: Command, answer: Mapping[str, Any]) -> list[str]:
    """Return the lines of a result, its rows as a table."""
    from proxy.cli.ask import table

    lines = [] if command.lines is None else command.lines(answer)
    rows = [line for line in lines if isinstance(line, tuple)]
    aligned = iter(table(rows) if rows else [])
    return [next(aligned) if isinstance(line, tuple) else line for line in lines]
