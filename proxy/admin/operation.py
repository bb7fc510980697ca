"""An operation of the admin API: declared once. Route, OpenAPI entry, command, help, plan and scope are made of it.

An `operations.py` of a feature holds one function per operation, and imports nothing that a command line does not need:
the verbs of the feature are reached inside the functions.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel

from proxy.admin.shapes import DryRun, Why
from proxy.trust.actor import Actor
from proxy.trust.roles import Permission, Role

if TYPE_CHECKING:
    from proxy.registry.ports_in_use import Ports

T = TypeVar("T")
ROOT = "/admin/v1"
BODY_BYTES = 64 * 1024  # unless a route says otherwise

# What may stand in a path, by the name of its place.
PLACES: Mapping[str, str] = MappingProxyType(
    {
        "profile": r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "fingerprint": r"[0-9a-f]{8,64}",
        "id": r"[a-z0-9]{8,20}",
        "number": r"[0-9]{1,9}",
    }
)


class Scope(Enum):
    """What a call is about, so that tokens for some repositories can be held to those."""

    WHOLE = "the whole proxy"  # such a token may not
    NEUTRAL = "nothing of any repository"  # it may
    ONE = "one repository"  # it may where the call names one of its own
    LIST = "a list"  # it may, and what is not its own is left out


@dataclass(frozen=True)
class Route:
    """One call: who may make it, what it takes in query and body, what it gives. `name` is that of its action.

    With `plans`, `?dry_run=true` changes nothing and is answered with a `Plan`. `scope` is what it is about; unless it
    says otherwise, a token for some repositories only does not open it. With `dual_control`, where dual
    control is on, it is kept and answered with `Held`, and done when a second person agrees.
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

    @property
    def asks(self) -> type[BaseModel] | None:
        """The type of the query."""
        return DryRun if self.plans else self.query

    @property
    def path_params(self) -> tuple[str, ...]:
        """Names of the parts of the path that are filled in."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return what is filled in, or None when the path is another one."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda place: f"(?P<{place[1]}>{PLACES[place[1]]})", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()


@dataclass(frozen=True)
class Call:
    """One permitted call of an operation. `actor` wants it, with the reason that the body gives; `now` is its time."""

    actor: Actor
    now: datetime
    ports: Ports
    path_params: Mapping[str, str]
    query: Any
    body: Any
    may_see: Callable[[str], bool]  # a repository: whether the caller's token is for it
    may: Callable[[Permission], bool]  # whether the caller has a role for this too
    roles: tuple[Role, ...]
    on_the_host: bool  # called over the Unix socket of this host
    agreed_by: str  # the second person, where one had to agree
    services: Mapping[type, Any]

    def use(self, kind: type[T]) -> T:
        """Return the one object of this port that the server gave to these operations."""
        found: T = self.services[kind]
        return found

    def page(self, rows: Sequence[Any]) -> tuple[Sequence[Any], int | None]:
        """Return the rows that the query asks for, of a list in memory, and where the next page begins."""
        end = self.query.skip + self.query.limit
        return rows[self.query.skip : end], end if end < len(rows) else None


AloneOf = Callable[[Call], Awaitable[bool]]  # whether this call needs no second person
Run = Callable[..., Awaitable[BaseModel]]  # takes the call, and the body where there is one
PlanOf = Callable[[Call], Awaitable[tuple[str, ...]]]  # raises Fault where the call would be refused
RepositoryOf = Callable[[Call], Awaitable[str]]  # the repository the call is about; empty where it names none
Row = Mapping[str, Any]  # what a call gave, as JSON


@dataclass(frozen=True)
class Argument:
    """Marks a field of a body that the command takes as an argument. Its help is the description of the field."""

    metavar: str


@dataclass(frozen=True)
class Option:
    """Marks a field of a body that the command takes as an option, of the same name unless it is `spelled` otherwise.

    What is typed `reads` as text, a moment (`7d`, or a date), a number of seconds (`2h`), a number, one of the choices
    that the type of the field names, any number of texts or choices, or is a flag.
    """

    metavar: str = ""
    reads: Literal["text", "moment", "seconds", "number", "choice", "several", "flag"] = "text"
    spelled: str = ""


@dataclass(frozen=True)
class Command:
    """How the operation looks on the command line: its words, and what it prints where JSON is not asked for.

    `lines` makes the text of what one call gave. Of a list, `table` makes a head and a row for each of all its rows;
    JSON has them under `rows`; `empty` is said where there are none. `named` returns the id of a row by what people
    type instead, shown as `metavar`, among all rows of the list at the path `named_in`. Where `waits` is true of the
    rows of a list, its exit code is 1. The reason is `--reason`, or `--note` where `note` says what to write there.
    `aside` goes to standard error. Where it `asks`, a change is made after its plan was shown and agreed to.
    """

    words: str
    lines: Callable[[Row], list[str]] | None = None
    table: Callable[[Sequence[Row]], list[tuple[str, ...]]] | None = None
    rows: str = ""
    empty: str = ""
    named: Callable[[Sequence[Row], str], str] | None = None
    named_in: str = ""
    metavar: str = "ID"
    waits: Callable[[Sequence[Row]], bool] | None = None
    note: str = ""
    aside: Callable[[Row], list[str]] | None = None
    asks: bool = True


@dataclass(frozen=True)
class Operation:
    """A route with what it does, would do and is about, and its command."""

    route: Route
    command: Command
    run: Run
    plan: PlanOf | None = None
    repository: RepositoryOf | None = None
    alone: AloneOf | None = None


def operation(
    call: str,
    permission: Permission,
    command: Command,
    *,
    plan: PlanOf | None = None,
    about: RepositoryOf | Scope = Scope.WHOLE,
    query: type[BaseModel] | None = None,
    status: int = 200,
    alone: AloneOf | None = None,
) -> Callable[[Run], Operation]:
    """Make an operation of a function. `call` is its method and its path below /admin/v1, as in `POST /denials`.

    The name of the function is that of the operation, its docstring says what it does, its annotations what it takes
    and gives. `about` returns the one repository that a call names, or says what calls are about. With `alone`, calls
    of which it is not true wait for a second person where dual control is on.
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
            scope=about if isinstance(about, Scope) else Scope.ONE,
            dual_control=alone is not None,
        )
        return Operation(route, command, run, plan, None if isinstance(about, Scope) else about, alone)

    return made


def reason_of(body: BaseModel | None) -> str:
    """Return the reason that a body gives; empty for one that gives none."""
    return body.reason if isinstance(body, Why) else ""
