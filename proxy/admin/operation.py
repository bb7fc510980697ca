"""An admin API operation, declared once: its route, OpenAPI entry, command, help, plan and scope derive from it.

An `operations.py` of a feature holds one function per operation and imports only what a command line needs: the
functions import the feature's other modules in their bodies.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel

from proxy.admin.shapes import Affected, DryRun, Why
from proxy.admin.wording import Wanted
from proxy.trust.actor import Actor
from proxy.trust.roles import Permission, permitted

if TYPE_CHECKING:
    from proxy.registry.ports_in_use import Ports

T = TypeVar("T")
ROOT = "/admin/v1"
BODY_BYTES = 64 * 1024  # default; a route may set its own limit

# The pattern of each path parameter, by name, and what a right one is.
PLACES: Mapping[str, tuple[str, Wanted]] = MappingProxyType(
    {
        "profile": (
            r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            Wanted("write a name as under `keys` in the configuration: letters, digits and ._-"),
        ),
        "fingerprint": (
            r"[0-9a-fA-F]{8,64}",
            Wanted("write at least the first 8 hex digits of a fingerprint, as `countersign keys list` shows it"),
        ),
        "id": (r"[a-z0-9]{8,20}", Wanted("write 8 to 20 lower-case letters and digits")),
        "number": (r"[0-9]{1,9}", Wanted("write a whole number of at most 9 digits")),
    }
)


def below_root(path: str) -> bool:
    """True for a path of the admin API, whether there is such a call or not."""
    return path == ROOT or path.startswith(f"{ROOT}/")


class Scope(Enum):
    """The subject of a call, so that tokens for some repositories can be confined to them."""

    WHOLE = "the whole proxy"  # such a token may not call it
    NEUTRAL = "nothing of any repository"  # such a token may call it
    ONE = "one repository"  # such a token may call it if the call names one of its repositories
    LIST = "a list"  # such a token may call it; entries of other repositories are left out


@dataclass(frozen=True)
class Route:
    """One route: its permission, query, body and response types. `name` is also the name of its action.

    With `plans`, `?dry_run=true` changes nothing and returns a `Plan`. `scope` is the subject of the call; the default
    excludes tokens that are limited to some repositories. With `dual_control`, while dual control is on, the call is
    held, answered with `Held`, and executed when a second person agrees.
    """

    name: str
    method: str
    path: str
    permission: Permission
    says: str
    gives: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    plans: bool = False
    body_bytes: int = BODY_BYTES
    scope: Scope = Scope.WHOLE
    dual_control: bool = False
    unrecorded: bool = False  # also answered on the host while the journal cannot be written

    @property
    def reads(self) -> bool:
        """True if the call changes nothing."""
        return self.method == "GET"

    @property
    def asks(self) -> type[BaseModel] | None:
        """The type of the query."""
        return DryRun if self.plans else self.query

    @property
    def path_params(self) -> tuple[str, ...]:
        """Names of the path parameters."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the path parameters, or None if the path does not match."""
        found = self._places(path, lambda name: PLACES[name][0])
        return None if found is None else {k: v.lower() if k == "fingerprint" else v for k, v in found.items()}

    def misplaced(self, path: str) -> str | None:
        """Return what is wrong with a path parameter, if this path differs from the route in nothing else."""
        found = self._places(path, lambda _: "[^/]*") or {}
        wrong = (name for name, value in found.items() if re.fullmatch(PLACES[name][0], value) is None)
        return next((f"{name} in the path: {PLACES[name][1].says}" for name in wrong), None)

    def _places(self, path: str, pattern_of: Callable[[str], str]) -> dict[str, str] | None:
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda name: f"(?P<{name[1]}>{pattern_of(name[1])})", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()


@dataclass(frozen=True)
class Call:
    """One permitted call of an operation. `actor` is the caller with the body's reason; `now` is the call's time."""

    actor: Actor
    now: datetime
    ports: Ports
    services: Mapping[type, Any]
    operations: Mapping[str, Operation]  # all of them by name
    path_params: Mapping[str, str]
    query: Any = None
    body: Any = None
    agreed_by: str = ""  # the second person, if the call needed approval

    def use(self, kind: type[T]) -> T:
        """Return the object that the server supplies for this port."""
        found: T = self.services[kind]
        return found

    def may(self, permission: Permission) -> bool:
        """True if the caller's roles include this permission too."""
        return permitted(self.actor.roles, permission)

    def may_see(self, repository: str) -> bool:
        """True if the caller's token covers this repository; for "", if it covers all repositories."""
        return self.actor.may_see(repository)


AloneOf = Callable[[Call], Awaitable[bool]]  # whether this call needs no second person
Run = Callable[..., Awaitable[BaseModel]]  # takes the call, and its body if it has one
PlanOf = Callable[[Call], Awaitable[tuple[str, ...]]]  # raises Fault if the call would be refused
AffectsOf = Callable[[Call], Awaitable[Affected | None]]  # the images that the call affects; None if it affects none
# The repository the call is about; empty if it names none, None if it is about something of the caller's own.
RepositoryOf = Callable[[Call], Awaitable[str | None]]
Row = Mapping[str, Any]  # the result of a call, as JSON


Given = Mapping[str, Any]  # what the user typed, by the name of the argument or option
FromFile = Callable[[Path], Mapping[str, Any]]  # the fields of a body that are in a file. Raises ConfigError


@dataclass(frozen=True)
class Argument:
    """Marks a field that the command takes as an argument. The field's description is its help text.

    With `file` the argument names a file: this field and others are what `file` returns for that path.
    """

    metavar: str
    file: FromFile | None = None
    reads: Literal["text", "number"] = "text"


@dataclass(frozen=True)
class Option:
    """Marks a field that the command takes as an option, named after the field unless `spelled` differs.

    `reads` is the type of the value: text, a future time (`7d`, or a date), a past time (`since`), a time with its
    zone, a number of seconds (`2h`), a number, one of the choices in the field's type, any number of texts or choices,
    or a flag. If an option with a `prompt` is not given, the command shows the plan and then asks for the
    value, in place of a yes. `file`: as for an argument. A number that is not given is `default`, or that of the first
    entry of the list at the path `first_of` (0: there is none).
    """

    metavar: str = ""
    reads: Literal["text", "moment", "since", "time", "seconds", "number", "choice", "several", "flag"] = "text"
    spelled: str = ""
    prompt: str = ""
    file: FromFile | None = None
    default: int | None = None
    first_of: str = ""


@dataclass(frozen=True)
class SavedAs:
    """An option that writes the result to a file, in the form that `text` returns."""

    spelled: str
    says: str
    text: Callable[[Row], str]


@dataclass(frozen=True)
class Printed:
    """The output of a command: `diff` in colours, `raw` unchanged, `lines`; `aside` goes to standard error.

    Tuples among the lines are rows of a table. JSON is the whole answer, unless `json` is given.
    """

    lines: Sequence[str | tuple[str, ...]] = ()
    diff: Sequence[str] = ()
    raw: str = ""
    aside: Sequence[str] = ()
    json: object | None = None
    code: int = 0


@dataclass(frozen=True)
class Command:
    """The command of an operation: its words, and its output unless JSON is requested.

    `lines` formats the result of one call; tuples are rows of a table. `shows` does, if there is more to the output
    than lines. For a list, `table` returns a header and a row per entry; JSON has the entries under `rows`; `empty` is
    printed if there are none; with `limit`, `--limit` is an option and this its default; the result of `below`, an
    operation without a command of its own, is printed below the list. `named` returns the id of the entry that a user
    names in another way, shown as `metavar`, among all entries of the list at the path `named_in`; `may_name` raises
    ValueError for a text that can name none. `listed_by` is the command that lists them. If
    `waits` is true of the result, or of the entries of a list, the exit code is 1. `reason` is the help text of
    `--reason`. `aside` goes to standard error.
    With `asks`, the command shows the plan of a change and asks for confirmation; with `diff` that plan is a
    difference. With `markdown`, `-o markdown` is a third form: `shows` is given `markdown`. With `job` the result is a
    job: the command waits for it, unless `--no-wait` is given, and prints it, or what came of it with `shows`.
    An option in `saved_as` writes the result to a file, and it is not printed. `fallback` names a function
    (`module:name`) that answers on this host while no server does, from the path of the configuration, the typed values
    and why nobody answered; beside it, where that answer is from.
    """

    words: str
    lines: Callable[[Row], Sequence[str | tuple[str, ...]]] | None = None
    table: Callable[[Sequence[Row]], list[tuple[str, ...]]] | None = None
    rows: str = ""
    empty: str | Callable[[Row], str] = ""  # a function takes the query
    named: Callable[[Sequence[Row], str], str] | None = None
    named_in: str = ""
    may_name: Callable[[str], object] | None = None
    metavar: str = "ID"
    waits: Callable[[Any], bool] | None = None
    reason: str = ""
    aside: Callable[[Row], list[str]] | None = None
    asks: bool = True
    below: Operation | None = None
    job: bool = False
    saved_as: tuple[SavedAs, ...] = ()
    shows: Callable[[Row, Given], Printed] | None = None
    diff: bool = False
    markdown: bool = False
    listed_by: str = "list"
    limit: int = 0
    fallback: tuple[str, str] | None = None


@dataclass(frozen=True)
class Operation:
    """A route with its action, plan and scope, and its command."""

    route: Route
    command: Command
    run: Run
    plan: PlanOf | None = None
    repository: RepositoryOf | None = None
    alone: AloneOf | None = None
    affects: AffectsOf | None = None

    async def planned(self, call: Call) -> tuple[str, ...]:
        """Return the plan of this call, or () if the operation has none. Raises Fault if it would be refused."""
        return () if self.plan is None else await self.plan(call)

    async def affected(self, call: Call) -> Affected | None:
        """Return the images that this call affects; a call that is refused is not counted: ask for its plan first."""
        return None if self.affects is None else await self.affects(call)

    async def execute(self, call: Call) -> BaseModel:
        """Return the result of this call."""
        return await (self.run(call) if self.route.body is None else self.run(call, call.body))


def operation(
    call: str,
    permission: Permission,
    command: Command,
    *,
    plan: PlanOf | None = None,
    affects: AffectsOf | None = None,
    about: RepositoryOf | Scope = Scope.WHOLE,
    query: type[BaseModel] | None = None,
    status: int = 200,
    dual_control: bool = False,
    alone: AloneOf | None = None,
    body_bytes: int = BODY_BYTES,
    unrecorded: bool = False,
) -> Callable[[Run], Operation]:
    """Make an operation of the decorated function. `call`: method and path below /admin/v1, such as `POST /denials`.

    With `dual_control` every call needs a second person while dual control is on; with `alone`, those for which it is
    false.
    """

    def made(run: Run) -> Operation:
        hints, (method, path) = get_type_hints(run, include_extras=True), call.split()
        route = Route(
            name=run.__name__,
            method=method,
            path=ROOT + path,
            permission=permission,
            says=(run.__doc__ or "").partition("\n")[0],
            gives=hints["return"],
            query=query,
            body=hints.get("body"),
            status=status,
            plans=plan is not None,
            body_bytes=body_bytes,
            scope=about if isinstance(about, Scope) else Scope.ONE,
            dual_control=dual_control or alone is not None,
            unrecorded=unrecorded,
        )
        return Operation(route, command, run, plan, None if isinstance(about, Scope) else about, alone, affects)

    return made


def reason_of(body: BaseModel | None) -> str:
    """Return the reason in a body; empty if it has none."""
    return body.reason if isinstance(body, Why) else ""
