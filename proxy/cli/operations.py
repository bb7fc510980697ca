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
        taken["reason"] = (Reason, _NEEDED)
    for name, field, mark in _marked(operation):
        if isinstance(mark, Option):
            spelled = f"--{name.replace('_', '-')}"
            option = typer.Option(spelled, metavar=mark.metavar, help=field.description, show_default=False)
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
        body[name] = _moment(name, given[name]) if isinstance(mark, Option) and mark.moment else given[name]
    return body


def _moment(name: str, typed: str) -> str | None:
    from datetime import UTC, datetime

    from proxy.cli.spans import moment_of

    return moment_of(typed, f"--{name.replace('_', '-')}", datetime.now(UTC)).isoformat() if typed else None


def _listed(operation: Operation, rows: list[dict[str, Any]], form: OutputFormat) -> Exit:
    from proxy.cli.ask import json_out, lines_out, table

    command = operation.command
    if form is OutputFormat.JSON:
        return json_out({command.rows: rows})
    return lines_out(table(command.table(rows)) if rows and command.table else [command.empty])


def _printed(operation: Operation, answer: Mapping[str, Any], form: OutputFormat) -> Exit:
    from proxy.cli.ask import json_out, lines_out

    if form is OutputFormat.JSON or operation.command.lines is None:
        return json_out(answer)
    return lines_out(operation.command.lines(answer))
