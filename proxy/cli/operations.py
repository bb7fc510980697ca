"""Commands generated from operations: their arguments, options and help, the call, and the output."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from proxy.admin.operation import ROOT, Argument, Given, Operation, Option, Row
from proxy.admin.paging import Page
from proxy.admin.shapes import Why
from proxy.cli.exits import DocumentFormat, Exit, OutputFormat
from proxy.cli.options import REASON, Config, Document, DryRun, Output, Server, Token, Yes, find, place_of
from proxy.cli.typed import checked, choices_of, key_of, marked, number_of, spelled
from proxy.oci.faults import Invalid, Unavailable

if TYPE_CHECKING:
    from pydantic import BaseModel
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
    "fingerprint": ("KEY", "its fingerprint, or at least the first 8 digits of it"),
}
_WAIT = Annotated[bool, typer.Option("--wait/--no-wait", help="wait until the job has ended, with a progress bar")]
_NEEDED = inspect.Parameter.empty
_MOST = 100_000  # rows that `--limit` may name
_Taken = tuple[Any, Any]  # the type of an argument or option, and its default


Offline = tuple[str, str, str]  # the module and function that do without a server, and the help text of `--offline`


def group(
    words: str, says: str, operations: Sequence[Operation], offline: Mapping[str, Offline] | None = None
) -> typer.Typer:
    """Return the group of the commands whose names are `words` and one more word. `offline` is by such a name.

    If two operations have one command, it calls the first where the path parameter of the second is not given.
    """
    made, alike = typer.Typer(help=says, no_args_is_help=True), dict[str, list[Operation]]()
    for each in operations:
        alike.setdefault(each.command.words, []).append(each)
    for name, same in alike.items():
        above, _, own = name.rpartition(" ")
        if above == words:
            made.command(own)(command_of(same[0], same[-1], (offline or {}).get(name)))
    return made


def command_of(without: Operation, operation: Operation, offline: Offline | None = None) -> Callable[..., None]:
    """Return the function of a command, for typer; of `without` where the path parameter of the other is not given."""

    def run(**given: Any) -> None:
        if operation.command.markdown:
            given["markdown"] = given["output"] is DocumentFormat.MARKDOWN
            given["output"] = OutputFormat.JSON if given["output"] is DocumentFormat.JSON else OutputFormat.TEXT
        whole = all(given[name] is not None for name in operation.route.path_params)
        this = operation if whole else without
        read = checked(this, given)
        if offline is not None and given["offline"]:
            raise typer.Exit(getattr(import_module(offline[0]), offline[1])({**given, **read}))
        place = place_of(given["server"], given["token"], given["config"])
        raise typer.Exit(carry_out(this, place, given, read))

    taken = _own(operation, optional=operation is not without)
    if offline is not None:
        taken["offline"] = (Annotated[bool, typer.Option("--offline", help=offline[2])], False)
    taken |= _EVERYWHERE
    if operation.command.markdown:
        taken["output"] = (Document, DocumentFormat.TEXT)
    if operation.command.saved_as:  # what is saved is JSON, and so is what is printed
        taken["output"] = (Output, OutputFormat.JSON)
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, kind, default=of[1], annotation=of[0]) for name, of in taken.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads both
    run.__annotations__ = {name: of[0] for name, of in taken.items()}
    run.__doc__ = without.route.says
    return run


def _own(operation: Operation, *, optional: bool) -> dict[str, _Taken]:
    """Return this command's own arguments and options, without those common to all commands."""
    route, command, marks = operation.route, operation.command, marked(operation)
    taken: dict[str, _Taken] = {}
    for name in route.path_params:
        shown = (command.metavar, f"as `{command.words.partition(' ')[0]} {command.listed_by}` shows it")
        metavar, says = _PATH_PARAMS.get(name, shown)
        taken[name] = _argument(metavar, says, optional=optional)
    for name, field, mark in marks:
        if isinstance(mark, Argument):
            taken[key_of(name)] = _argument(mark.metavar, field.description, optional=not field.is_required())
    if route.body is not None and issubclass(route.body, Why):
        why = typer.Option("--reason", metavar="TEXT", help=command.reason or REASON)
        taken["reason"] = (Annotated[str, why], _NEEDED)
    taken |= {key_of(name): _option(name, field, mark) for name, field, mark in marks if isinstance(mark, Option)}
    for each in command.saved_as:
        saved = typer.Option(each.spelled, metavar="FILE", help=each.says)
        taken[each.spelled.strip("-")] = (Annotated[Path | None, saved], None)
    if command.limit:
        rows = typer.Option("--limit", metavar="N", help="maximum number of rows")
        taken["limit"] = (Annotated[str, rows], str(command.limit))
    taken |= {"wait": (_WAIT, True)} if command.job else {}
    taken |= {"dry_run": (DryRun, False)} if route.plans else {}
    return taken | ({"yes": (Yes, False)} if changes(operation) else {})


def changes(operation: Operation) -> bool:
    """True for a command that changes something: it takes --yes, also where nothing is asked."""
    route = operation.route
    return route.plans or route.method == "DELETE" or (route.method == "POST" and _reasoned(route.body))


def _reasoned(body: type[BaseModel] | None) -> bool:
    return body is None or issubclass(body, Why)


def _argument(metavar: str, says: str | None, *, optional: bool) -> _Taken:
    argument = typer.Argument(metavar=metavar, help=says)
    return (Annotated[str | None, argument], None) if optional else (Annotated[str, argument], _NEEDED)


def _option(name: str, field: FieldInfo, mark: Option) -> _Taken:
    """Return the option. Its values are texts: `checked` says in our words what is wrong with them."""
    choices, default = choices_of(field), mark.default if mark.default is not None else field.default
    kinds: dict[str, _Taken] = {"flag": (bool, False), "several": (list[str], [])}
    if mark.reads == "number" and not mark.first_of:
        kinds["number"] = (str, str(default))
    kind, default = kinds.get(mark.reads, (str | None, None))
    option = typer.Option(
        spelled(name, mark),
        metavar=mark.metavar or (f"[{'|'.join(choices)}]" if choices else "N" if mark.reads == "number" else None),
        help=field.description,
        show_default=mark.reads == "number",
    )
    return Annotated[kind, option], _NEEDED if field.is_required() and not mark.first_of else default


def _prompted(operation: Operation) -> tuple[str, FieldInfo, Option] | None:
    """Return the field that the command asks for unless it is given."""
    options = ((name, field, mark) for name, field, mark in marked(operation) if isinstance(mark, Option))
    return next((each for each in options if each[2].prompt), None)


def carry_out(operation: Operation, place: Endpoint, given: Given, read: dict[str, Any] | None = None) -> Exit:
    """Call the operation on this server with the typed values, `read` of them; print the result.

    Raises Invalid before anything is sent, ConfigError, and what `call` raises.
    """
    from proxy.cli.admin import call, listing, pages
    from proxy.cli.printed import listed, printed, saved

    read = checked(operation, given) if read is None else read
    most = number_of("--limit", given["limit"], 1, _MOST) if "limit" in given else None
    command, form, path = operation.command, given.get("output", OutputFormat.JSON), operation.route.path
    for name in operation.route.path_params:
        rows = pages(place, command.named_in) if command.named_in else []
        typed = str(given[name]) if command.named is None else command.named(rows, given[name])
        path = path.replace(f"{{{name}}}", quote(typed, safe=""))
    path = path.removeprefix(f"{ROOT}/")
    for name, _, mark in marked(operation):
        if isinstance(mark, Option) and mark.first_of and read[name] is None:
            read[name] = _number_of_first(place, mark.first_of)
    unset = (None, "", False)
    query = {} if operation.route.body else {name: value for name, value in read.items() if value not in unset}
    empty = command.empty if isinstance(command.empty, str) else command.empty(read)
    try:
        if command.table is not None:
            rows, nothing = listing(place, path, _largest_page(operation), most, **query)
            empty = nothing or empty
            under = command.below
            below = None if under is None else call(place, "GET", under.route.path.removeprefix(f"{ROOT}/"))
            return listed(command, rows, empty, below, form)
        answer = _answer(operation, place, f"{path}?{urlencode(query)}" if query else path, read, given)
    except Unavailable as away:
        if command.fallback is None or place.server:
            raise
        answer = _without_server(*command.fallback, {**read, "limit": most}, given.get("config"), away)
        if command.table is not None:
            return listed(command, answer[command.rows], answer.get("nothing") or empty, None, form)
    if isinstance(answer, Exit):
        return answer
    if saved(command, answer, given):
        return Exit.FINE
    waited = command.job and given["wait"]
    if waited:
        from proxy.cli.progress import followed, result_of

        if command.shows is None:
            return followed(place, answer, form)
        answer = result_of(place, answer)
        if isinstance(answer, Exit):
            return answer
    shown = command.shows(answer, given) if command.shows is not None and waited == command.job else None
    return printed(command, answer, shown, form)


def _without_server(function: str, note: str, typed: Given, config: Path | None, away: Unavailable) -> Row:
    """Return the answer of this host. Raises `away` if it has none."""
    module, _, name = function.partition(":")
    answer: Row | None = getattr(import_module(module), name)(find(config, os.environ), typed, away.what)
    if answer is None:
        raise away
    sys.stderr.write(f"no server answers; {note}\n")
    return answer


def _largest_page(operation: Operation) -> int:
    limit = (operation.route.query or Page).model_fields["limit"]
    return int(next(each.le for each in limit.metadata if hasattr(each, "le")))


def _answer(operation: Operation, place: Endpoint, path: str, read: dict[str, Any], given: Given) -> Row | Exit:
    """Return the answer to the call, or the exit code if the plan was only shown or not confirmed."""
    from proxy.cli.admin import call
    from proxy.cli.agreed import Confirmation, agreed, typed

    route, prompted = operation.route, _prompted(operation)
    body = None if route.body is None else {name: value for name, value in read.items() if value is not None}
    if not route.plans or not (operation.command.asks or given["dry_run"]):
        return call(place, route.method, path, body)
    if body is None or prompted is None:
        manner = Confirmation(given["dry_run"], given.get("yes", False), given["output"])
        return agreed(place, path, body, manner, route.method, diff=operation.command.diff)
    name, field, mark = prompted
    if given.get("yes") and name not in body and not given["dry_run"]:
        raise Invalid(f"--yes: this cannot be undone; also give {spelled(name, mark)} with {field.description}")

    def ask() -> bool:
        body[name] = typed(mark.prompt, f"{spelled(name, mark)} with {field.description}")
        return bool(body[name])

    manner = Confirmation(given["dry_run"], name in body, given["output"])
    return agreed(place, path, body, manner, route.method, ask=ask)


def _number_of_first(place: Endpoint, path: str) -> int:
    from proxy.cli.admin import call

    rows = call(place, "GET", f"{path}?limit=1")["items"]
    return int(rows[0]["number"]) if rows else 0
