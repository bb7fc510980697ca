"""Commands generated from operations: their arguments, options and help, the call, and the output."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_args
from urllib.parse import quote

import typer

from proxy.admin.operation import ROOT, Argument, Operation, Option
from proxy.admin.shapes import Why
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from proxy.cli.admin import Endpoint

_EVERYWHERE = {
    "server": (Server, ""),
    "token": (Token, ""),
    "config": (Config, None),
    "output": (Output, OutputFormat.TEXT),
}
_NEEDED = inspect.Parameter.empty
_BOUNDS = (("ge", "min"), ("le", "max"))  # pydantic's name, typer's name
_Taken = tuple[Any, Any]  # the type of an argument or option, and its default


def group(words: str, says: str, operations: Sequence[Operation]) -> typer.Typer:
    """Return the commands of these operations; all their names begin with `words`."""
    made = typer.Typer(help=says, no_args_is_help=True)
    for each in operations:
        made.command(each.command.words.removeprefix(f"{words} "))(_command(each))
    return made


def _command(operation: Operation) -> Callable[..., None]:
    def run(**given: Any) -> None:
        place = place_of(given["server"], given["token"], given["config"])
        raise typer.Exit(carry_out(operation, place, given))

    taken = {**_own(operation), **_EVERYWHERE}
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
        shown = f"as `{command.words.partition(' ')[0]} list` shows it"
        taken[name] = (Annotated[str, typer.Argument(metavar=command.metavar, help=shown)], _NEEDED)
    for name, field, mark in marked:
        if isinstance(mark, Argument):
            taken[name] = (Annotated[str, typer.Argument(metavar=mark.metavar, help=field.description)], _NEEDED)
    if route.body is not None and issubclass(route.body, Why):
        note = typer.Option("--note", metavar="TEXT", help=command.note)
        taken["reason"] = (Annotated[str, note] if command.note else Reason, _NEEDED)
    taken |= {name: _option(name, field, mark) for name, field, mark in marked if isinstance(mark, Option)}
    taken |= {"dry_run": (DryRun, False)} if route.plans else {}
    return taken | ({"yes": (Yes, False)} if route.plans and command.asks else {})


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


def carry_out(operation: Operation, place: Endpoint, given: Mapping[str, Any]) -> Exit:
    """Call the operation on this server with the typed values; print the result. Raises what `call` raises."""
    from proxy.cli.admin import call, pages
    from proxy.cli.agreed import Confirmation, agreed

    route, command, form = operation.route, operation.command, given["output"]
    path = route.path.removeprefix(f"{ROOT}/")
    for name in route.path_params:
        rows = pages(place, command.named_in) if command.named_in else []
        typed = given[name] if command.named is None else command.named(rows, given[name])
        path = path.replace(f"{{{name}}}", quote(typed, safe=""))
    read = _read_all(operation, given)
    if command.table is not None:
        return _listed(operation, pages(place, path, **{key: value for key, value in read.items() if value}), form)
    body = None if route.body is None else read
    if not route.plans or not (command.asks or given["dry_run"]):
        return _printed(operation, call(place, route.method, path, body), form)
    answer = agreed(place, path, body, Confirmation(given["dry_run"], given.get("yes", False), form), route.method)
    return answer if isinstance(answer, Exit) else _printed(operation, answer, form)


def _read_all(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the typed fields of the body or the query. Raises ConfigError."""
    read = {"reason": given["reason"]} if "reason" in given else {}
    for name, _, mark in _marked(operation):
        read[name] = _read(name, mark, given[name]) if isinstance(mark, Option) else given[name]
    return read


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


def _listed(operation: Operation, rows: list[dict[str, Any]], form: OutputFormat) -> Exit:
    from proxy.cli.ask import json_out, lines_out, table

    command = operation.command
    if form is OutputFormat.JSON:
        json_out({command.rows: rows})
    else:
        lines_out(table(command.table(rows)) if rows and command.table else [command.empty])
    return Exit.NO if command.waits is not None and command.waits(rows) else Exit.FINE


def _printed(operation: Operation, answer: Mapping[str, Any], form: OutputFormat) -> Exit:
    from proxy.cli.ask import json_out, lines_out
    from proxy.trust.explain import plain

    command = operation.command
    if form is OutputFormat.JSON or command.lines is None:
        return json_out(answer)
    if command.aside is not None:
        sys.stderr.write("".join(f"{plain(line, 1000)}\n" for line in command.aside(answer)))
    return lines_out(command.lines(answer))
