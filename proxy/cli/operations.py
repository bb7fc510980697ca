"""Commands made of operations: their arguments, options and help, the call, and what is printed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

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


def group(words: str, says: str, operations: Sequence[Operation]) -> typer.Typer:
    """Return the commands of these operations, which all begin with `words`."""
    made = typer.Typer(help=says, no_args_is_help=True)
    for each in operations:
        made.command(each.command.words.removeprefix(f"{words} "))(_command(each))
    return made


def _command(operation: Operation) -> Callable[..., None]:
    def run(**given: Any) -> None:
        raise typer.Exit(carry_out(operation, place_of(given["server"], given["token"], given["config"]), given))

    taken = {**_own(operation), **_EVERYWHERE}
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, kind, default=of[1], annotation=of[0]) for name, of in taken.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads both
    run.__annotations__ = {name: of[0] for name, of in taken.items()}
    run.__doc__ = operation.route.says
    return run


def _own(operation: Operation) -> dict[str, tuple[Any, Any]]:
    """Return the type and default of each argument and option that this command has for itself."""
    route, command = operation.route, operation.command
    taken: dict[str, tuple[Any, Any]] = {}
    for name in route.path_params:
        shown = f"as `{command.words.partition(' ')[0]} list` shows it"
        taken[name] = (Annotated[str, typer.Argument(metavar=command.metavar, help=shown)], _NEEDED)
    for name, field, mark in _marked(operation):
        if isinstance(mark, Argument):
            taken[name] = (Annotated[str, typer.Argument(metavar=mark.metavar, help=field.description)], _NEEDED)
    if route.body is not None and issubclass(route.body, Why):
        note = typer.Option("--note", metavar="TEXT", help=command.note)
        taken["reason"] = (Annotated[str, note] if command.note else Reason, _NEEDED)
    for name, field, mark in _marked(operation):
        if isinstance(mark, Option) and mark.reads == "flag":
            taken[name] = (Annotated[bool, typer.Option(_spelled(name, mark), help=field.description)], False)
        elif isinstance(mark, Option):
            option = typer.Option(
                _spelled(name, mark), metavar=mark.metavar, help=field.description, show_default=False
            )
            taken[name] = (Annotated[str, option], _NEEDED if field.is_required() else "")
    if route.plans:
        taken |= {"dry_run": (DryRun, False), "yes": (Yes, False)}
    return taken


def _marked(operation: Operation) -> list[tuple[str, FieldInfo, Argument | Option]]:
    fields = {} if operation.route.body is None else operation.route.body.model_fields
    marks = ((name, field, mark) for name, field in fields.items() for mark in field.metadata)
    return [(name, field, mark) for name, field, mark in marks if isinstance(mark, Argument | Option)]


def carry_out(operation: Operation, place: Endpoint, given: Mapping[str, Any]) -> Exit:
    """Call the operation on this server with what was typed, and print what it gave. Raises what `call` raises."""
    from proxy.cli.admin import call, pages
    from proxy.cli.agreed import Confirmation, agreed

    route, command, form = operation.route, operation.command, given["output"]
    path = route.path.removeprefix(f"{ROOT}/")
    for name in route.path_params:
        typed = given[name] if command.named is None else command.named(pages(place, command.named_in), given[name])
        path = path.replace(f"{{{name}}}", typed)
    if command.table is not None:
        return _listed(operation, pages(place, path), form)
    body = _body(operation, given)
    if not route.plans:
        return _printed(operation, call(place, route.method, path, body), form)
    answer = agreed(place, path, body, Confirmation(given["dry_run"], given["yes"], form), route.method)
    return answer if isinstance(answer, Exit) else _printed(operation, answer, form)


def _body(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any] | None:
    if operation.route.body is None:
        return None
    body = {"reason": given["reason"]} if "reason" in given else {}
    for name, _, mark in _marked(operation):
        body[name] = _read(name, mark, given[name]) if isinstance(mark, Option) else given[name]
    return body


def _spelled(name: str, mark: Option) -> str:
    return mark.spelled or f"--{name.replace('_', '-')}"


def _read(name: str, mark: Option, typed: Any) -> Any:
    """Return what the body has for what was typed; None for nothing. Raises ConfigError, which names the option."""
    from datetime import UTC, datetime

    from proxy.cli.spans import moment_of, seconds_of

    if mark.reads == "flag":
        return typed
    if not typed:
        return None
    if mark.reads == "moment":
        return moment_of(typed, _spelled(name, mark), datetime.now(UTC)).isoformat()
    return seconds_of(typed, _spelled(name, mark)) if mark.reads == "seconds" else typed


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

    if form is OutputFormat.JSON or operation.command.lines is None:
        return json_out(answer)
    return lines_out(operation.command.lines(answer))
