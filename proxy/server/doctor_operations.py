"""The operation that checks everything the proxy needs: `countersign doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from proxy import version
from proxy.admin.operation import Call, Command, Given, Option, Printed, Row, operation
from proxy.admin.shapes import OneRepository, Shape, filled
from proxy.journal.problem import Severity
from proxy.oci.reference import parse_repository
from proxy.server.server_operations import Live
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.server.doctor.checkup import DoctorFinding

_MARK = {"ok": "[ok]", "warning": "[!!]", "wrong": "[NO]", "skipped": "[--]"}
# The exit code for each part, as docs/reference/commands.md lists them.
_CODES = {"tokens": 6, "upstream": 7, "store": 8, "clock": 9, "server": 1}
_CONFIGURATION = 3


class DoctorRequest(Shape, frozen=True):
    """The options of the checks."""

    write_to: Annotated[OneRepository | None, Option("REPOSITORY")] = Field(
        default=None, description="also write a tag there twice, and delete it"
    )


class Finding(Shape, frozen=True):
    """The result of one check."""

    name: str
    state: Literal["ok", "warning", "wrong", "skipped"]
    detail: str
    fix: str = Field(description="the fix; empty: none is needed")
    checks: tuple[Finding, ...] = Field(description="the parts of this check")


class Findings(Shape, frozen=True):
    """The results of all checks; that of `server` says where they were made."""

    checks: tuple[Finding, ...]


def found(findings: Sequence[DoctorFinding]) -> Findings:
    """Return the findings in the form of the admin API."""
    return Findings(checks=tuple(map(_finding, findings)))


def _finding(each: DoctorFinding) -> Finding:
    return filled(Finding, each, checks=tuple(map(_finding, each.inner)))


def _examined(row: Row, _: Given) -> Printed:
    checks = row["checks"]
    code = next((_CODES.get(each["name"], _CONFIGURATION) for each in checks if _is_wrong(each)), 0)
    return Printed([line for each in checks for line in nested(each, "")], json=checks, code=code)


def nested(row: Row, indent: str) -> Iterator[str]:
    """Yield the lines of a finding and of those within it."""
    first, *more = row["detail"].splitlines() or [""]
    yield f"{indent}{_MARK[row['state']]} {row['name']}: {first}"
    yield from (f"{indent}     {line}" for line in more)
    yield from (f"{indent}     fix: {row['fix']}" for _ in range(bool(row["fix"])))
    for inner in row["checks"]:
        yield from nested(inner, f"{indent}  ")


def _is_wrong(row: Row) -> bool:
    return row["state"] == "wrong" or any(map(_is_wrong, row["checks"]))


_DOCTOR = Command(
    "doctor", shows=_examined,
    fallback=("proxy.server.doctor.examine:offline", "this command made the checks itself"),
)  # fmt: skip


@operation("POST /doctor", Permission.DOCTOR, _DOCTOR, unrecorded=True)
async def doctor(call: Call, body: DoctorRequest) -> Findings:
    """Check configuration, tokens, upstream, store and clock. Exit code: of what is wrong first."""
    from proxy.server.doctor.checkup import DoctorFinding

    live, ports = call.use(Live), call.ports
    made = await live.examine(parse_repository(body.write_to) if body.write_to else None)
    problems = (
        DoctorFinding(
            "problem",
            "warning" if each.severity is Severity.WARNING else "wrong",
            f"{each.what}; it stops {each.stops}",
            each.next,
        )
        for each in live.problems()
    )
    warned = (DoctorFinding("warning", "warning", each["what"], each["next"]) for each in live.warnings())
    serves = f"countersign {version()} serves {ports.url} since {live.started.isoformat()}; it made the checks"
    return found([*made, DoctorFinding("server", "ok", serves, inner=(*problems, *warned))])


OPERATIONS = (doctor,)
