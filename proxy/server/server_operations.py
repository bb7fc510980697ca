"""Operations on the running server as a whole: its status and its configuration."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from proxy import version
from proxy.admin.operation import Call, Command, Row, Scope, operation
from proxy.admin.shapes import Shape, filled
from proxy.journal.problem import Problem, ProblemId, Severity
from proxy.oci.duration import minute
from proxy.trust.keys import KeyState
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.oci.reference import Repository
    from proxy.policies.in_force import Policies
    from proxy.server.doctor.checkup import DoctorFinding


@dataclass(frozen=True)
class Live:
    """What only the serving process knows and does.

    `reload` returns why the configuration was refused, or None; `examine` the findings of the doctor, which also writes
    to that repository; `soon` the announced key changes; `warnings` the approaching expiries.
    """

    started: datetime
    policies: Policies
    reload: Callable[[], Awaitable[str | None]]
    examine: Callable[[Repository | None], Awaitable[Sequence[DoctorFinding]]]
    problems: Callable[[], list[Problem]]
    soon: Callable[[], list[dict[str, Any]]] = list
    warnings: Callable[[], list[dict[str, str]]] = list


class KeyStatus(Shape, frozen=True):
    """A key, in short; destroyed ones are left out."""

    profile: str
    fingerprint: str
    token: str
    state: KeyState
    algorithm: str
    since: datetime


class Soon(Shape, frozen=True):
    """A scheduled change of a key."""

    what: str = Field(description="rotate, activate, retire, stops signing")
    at: datetime
    profile: str
    token: str
    key: str = Field(description="fingerprint of the key")
    says: str = Field(description="the same as text")


class Warned(Shape, frozen=True):
    """An approaching expiry."""

    what: str
    at: datetime = Field(description="when it expires")
    next: str = Field(description="what to do in time")


class Trouble(Shape, frozen=True):
    """A present problem."""

    id: ProblemId = Field(description="the kind of problem")
    severity: Severity = Field(description="error if it stops something, else warning")
    what: str
    since: str = Field(default="", description="since when; empty if unknown")
    stops: str = Field(description="what does not work meanwhile")
    next: str = Field(description="the next command")
    about: str = Field(default="", description="distinguishes it from others of its kind: a token, a key, an exception")
    server: str = Field(default="", description="the server that has it; empty: all that share the store")
    repository: str = Field(default="", description="the one repository it is about; empty: several, or none")


class Status(Shape, frozen=True):
    """The state of the server."""

    name: str
    version: str = Field(description="version of the program that serves")
    url: str
    started: datetime
    pid: int
    policy_revision: str
    policies_from: Literal["file", "api"] = Field(description="where the policies in force come from")
    policies_number: int | None = Field(default=None, description="their revision there; null for the file's")
    key_revision: str
    keys: tuple[KeyStatus, ...]
    soon: tuple[Soon, ...] = Field(description="announced changes of keys, the soonest first")
    warnings: tuple[Warned, ...] = Field(description="what expires within 60, 30 or 7 days, the soonest first")
    problems: tuple[Trouble, ...]


class Reloaded(Shape, frozen=True):
    """The result of a reload."""

    reloaded: bool
    why: str | None = Field(description="why it was refused; the previous configuration stays in force")
    revision: str = Field(description="hash of the configuration in force")
    changed: tuple[str, ...] = Field(description="settings that changed; not the contents of files that they name")
    policies: str = Field(description="the policies in force, and their source")


def _lines(row: Row) -> list[str]:
    number = row["policies_number"]
    where = f"revision {number}, by the API" if number else "from the configuration file"
    lines = [f"{row['name']} serves {row['url']} since {minute(row['started'])}"]
    lines += [f"  version   {row['version']}", f"  policy    {row['policy_revision'][:12]} ({where})"]
    for key in row["keys"]:
        name = f"{key['fingerprint'][:12]} of {key['profile']} on token {key['token']} ({key['algorithm']})"
        lines.append(f"  key       {name}: {key['state']} since {minute(key['since'])}")
    for soon in row["soon"]:
        lines.append(
            f"  soon      {minute(soon['at'])} UTC: key {soon['key'][:12]} of {soon['profile']} {soon['says']}"
        )
    lines += [f"  warning   {warned['what']}; {warned['next']}" for warned in row["warnings"]]
    lines += [""] if row["problems"] else ["  problems  none"]
    return [*lines, *(line for problem in row["problems"] for line in _problem(problem))]


def _problem(problem: Row) -> Iterator[str]:
    yield f"WRONG: {problem['what']}" + (f" (since {minute(problem['since'])})" if problem["since"] else "")
    yield from (f"  {name:<7}{problem[name]}" for name in ("stops", "next") if problem[name])


_STATUS = Command("status", _lines, waits=lambda row: bool(row["problems"]))


@operation("GET /status", Permission.STATUS, _STATUS, about=Scope.NEUTRAL, unrecorded=True)
async def status(call: Call) -> Status:
    """Show what works and what does not. Exit code 1: something does not."""
    ports, live, ring = call.ports, call.use(Live), call.ports.keybook.ring()
    keys = (filled(KeyStatus, key) for key in ring.ours if key.state is not KeyState.DESTROYED)
    problems = (each for each in live.problems() if each.repository is None or call.may_see(each.repository))
    found = {
        "name": ports.name,
        "version": version(),
        "url": ports.url,
        "started": live.started,
        "pid": os.getpid(),
        "policy_revision": ports.rules.current().revision,
        **live.policies.source,
        "key_revision": ring.revision,
        "keys": tuple(keys),
        "soon": live.soon(),
        "warnings": live.warnings(),
        "problems": [each.shown() for each in problems],
    }
    return Status.model_validate(found, strict=False)


_NAMED = 20  # changed settings that the command names


def _read_again(row: Row) -> list[str]:
    if row["reloaded"]:
        changed, more = ", ".join(row["changed"][:_NAMED]), len(row["changed"]) - _NAMED
        also = f" and {more} more" if more > 0 else ""
        return [
            f"configuration reloaded: revision {row['revision'][:12]}; policies {row['policies']}",
            f"  changed   {changed}{also}" if changed else "  changed   no setting; the files it names were read too",
        ]
    return [f"refused, the previous one stays in force: {row['why']}"]


@operation("POST /reload", Permission.RELOAD, Command("reload", _read_again, waits=lambda row: not row["reloaded"]))
async def reload(call: Call) -> Reloaded:
    """Reload the configuration, as SIGHUP does. Exit code 1: refused, nothing changed."""
    from proxy.server.reload import different

    live = call.use(Live)
    before = live.policies.settings
    refused = await live.reload()
    now = live.policies
    return Reloaded(
        reloaded=refused is None, why=refused, policies=now.described,
        revision=now.settings.revision, changed=different(before, now.settings),
    )  # fmt: skip


OPERATIONS = (status, reload)
