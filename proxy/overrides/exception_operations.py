"""Operations on exceptions (break-glass), and on what was pushed unsigned under one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from proxy.admin.affected import counted
from proxy.admin.operation import Call, Command, Option, Row, Scope, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import Affected, DigestText, Repositories, Shape, Why, filled, one_repository
from proxy.oci.duration import instant, minute
from proxy.oci.faults import Forbidden
from proxy.oci.reference import parse_digest, parse_repository
from proxy.trust.exception import PolicyException, UnsignedPush
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.overrides.exceptions import ExceptionRequest


class NewException(Why, frozen=True):
    """The request for an exception."""

    repository: Annotated[Repositories, Option("REPO")] = Field(
        description="the repository; for a policy-admin also a pattern"
    )
    digest: Annotated[DigestText | None, Option("DIGEST")] = Field(default=None, description="only this image")
    allow_unsigned_push: Annotated[bool, Option(reads="flag")] = Field(
        default=False, description="also accept pushes that cannot be signed now"
    )
    seconds: Annotated[int, Option("SPAN", reads="seconds", spelled="--for")] = Field(
        ge=60, le=366 * 86400, description="duration: 30m, 2h"
    )


class ExceptionShown(Shape, frozen=True):
    """An exception."""

    id: str
    repository: str
    digest: str | None
    unsigned_push: bool
    reason: str
    by: str
    how: str
    opened: datetime
    until: datetime
    open: bool
    closed: datetime | None
    closed_by: str
    reviewed: datetime | None
    reviewed_by: str
    review: str
    offline: bool = Field(description="made on the host, without a server")


class Exceptions(Paged, frozen=True):
    """A page of exceptions, oldest first: all that need a review, and the latest reviewed ones."""

    items: tuple[ExceptionShown, ...]


class UnsignedShown(Shape, frozen=True):
    """A manifest that was accepted without a signature."""

    repository: str
    digest: str
    tag: str | None
    exception: str
    who: str
    at: datetime
    settled: datetime | None = Field(description="when it was signed, or found to be gone")
    note: str


class Unsigned(Paged, frozen=True):
    """A page of unsigned manifests, newest first."""

    items: tuple[UnsignedShown, ...]


def _pushes(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("IMAGE", "DIGEST", "PUSHED", "BY", "EXCEPTION", "SIGNED"), *map(_push, rows)]


def _push(row: Row) -> tuple[str, ...]:
    image = f"{row['repository']}:{row['tag']}" if row["tag"] else str(row["repository"])
    note = f" ({row['note']})" if row["note"] else ""
    signed = (minute(row["settled"]) if row["settled"] else "NOT YET") + note
    return (image, str(row["digest"])[:19], minute(row["at"]), row["who"], row["exception"], signed)


UNSIGNED = Listing[UnsignedPush](
    "unsigned", lambda push: (instant(push.at), push.repository, push.digest, push.tag or ""), (str, str, str, str)
)
_UNSIGNED = Command(
    "exceptions unsigned", table=_pushes, rows="unsigned", empty="nothing was pushed unsigned",
    waits=lambda rows: any(row["settled"] is None for row in rows),
)  # fmt: skip


@operation("GET /exceptions/unsigned", Permission.STATUS, _UNSIGNED, about=Scope.LIST, query=Page)
async def list_unsigned(call: Call) -> Unsigned:
    """List images pushed unsigned. Exit code 1: some still are."""
    page = call.query
    rows = await call.ports.unsigned.page(UNSIGNED.part(page))
    return UNSIGNED.page(
        Unsigned, page, rows, lambda row: filled(UnsignedShown, row) if call.may_see(row.repository) else None
    )


def _exceptions(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("ID", "SCOPE", "STATE", "OPENED", "UNTIL", "BY", "REASON"), *map(_exception, rows)]


def _exception(row: Row) -> tuple[str, ...]:
    times = minute(row["opened"]), minute(row["closed"] or row["until"])
    return (row["id"], _scope(row), _state(row), *times, row["by"], row["reason"])


def _scope(row: Row) -> str:
    return f"{row['repository']}@{row['digest']}" if row["digest"] else str(row["repository"])


def _state(row: Row) -> str:
    if row["reviewed"]:
        return f"reviewed by {row['reviewed_by']}: {row['review']}"
    return "OPEN" if row["open"] else "over, NOT REVIEWED"


_EXCEPTIONS = Listing[PolicyException]("exceptions", lambda each: (instant(each.opened), each.id), (str, str))
_LIST = Command(
    "exceptions list", table=_exceptions, rows="exceptions", empty="no exceptions",
    waits=lambda rows: any(row["reviewed"] is None for row in rows),
)  # fmt: skip


@operation("GET /exceptions", Permission.STATUS, _LIST, about=Scope.LIST, query=Page)
async def list_exceptions(call: Call) -> Exceptions:
    """List exceptions. Exit code 1: one is open or not reviewed."""
    exceptions = call.ports.overrides.orders().exceptions
    mine = [each for each in exceptions if call.may_see(one_repository(each.repositories))]
    return _EXCEPTIONS.of(Exceptions, call.query, mine, lambda each: _shown(each, call))


async def _plan_open(call: Call) -> tuple[str, ...]:
    from proxy.overrides.exceptions import may_open

    wanted = _wanted(call)
    may_open(wanted, _longest(call), call.actor, call.ports)
    what = f"{wanted.digest} and what it lists" if wanted.digest else "everything"
    where = f"{what} in {wanted.repositories}"
    unsigned = (
        "accept pushes there without a signature while signing does not work, and list each until it is signed",
        "sign them by a job as soon as signing works again",
    )
    return (
        f"allow pulls of {where} for {_span(wanted.seconds)} although policy blocks them; denials stay in force",
        *(unsigned if wanted.unsigned_push else ()),
        "show it in the Warning header of each such pull, in the journal, in status and in the metrics",
        "close it automatically after that, and ask for a review until one is recorded",
    )


async def _repository_named(call: Call) -> str:
    return one_repository(call.body.repository)


def _opened(row: Row) -> list[str]:
    return [
        f"exception {row['id']} for {_scope(row)} is open until {minute(row['until'])}",
        f"end it earlier: countersign exceptions close {row['id']} --reason TEXT",
    ]


async def _affects_open(call: Call) -> Affected:
    from proxy.journal.impact import WINDOW, BlockedIn

    wanted = _wanted(call)
    by = BlockedIn(wanted.repositories, () if wanted.digest is None else (wanted.digest,))
    what = f"policy blocked them or warned about them in the last {WINDOW.days} days"
    return await counted(call, by, what, unknown="images that nobody has pulled through this proxy in that time")


@operation(
    "POST /exceptions", Permission.EXCEPT, Command("exceptions open", _opened), plan=_plan_open,
    affects=_affects_open, about=_repository_named, status=201,
)  # fmt: skip
async def open_exception(call: Call, body: NewException) -> ExceptionShown:  # noqa: ARG001  read by `_wanted`
    """Temporarily allow pulls that policy blocks."""
    from proxy.overrides.exceptions import open_exception as opened

    return _shown(await opened(_wanted(call), _longest(call), call.actor, call.ports), call)


async def _repository_of(call: Call) -> str:
    exceptions = call.ports.overrides.orders().exceptions
    return next((one_repository(e.repositories) for e in exceptions if e.id == call.path_params["id"]), "")


def _changed(row: Row) -> list[str]:
    return [f"exception {row['id']} is {_state(row)}"]


@operation(
    "POST /exceptions/{id}/close", Permission.EXCEPT, Command("exceptions close", _changed), about=_repository_of
)
async def close_exception(call: Call, body: Why) -> ExceptionShown:  # noqa: ARG001  its reason is the actor's
    """Close an exception early."""
    from proxy.overrides.exceptions import close

    return _shown(await close(call.path_params["id"], call.actor, call.ports), call)


_REVIEW = Command("exceptions review", _changed, reason="what it allowed, and the consequences")


@operation("POST /exceptions/{id}/review", Permission.REVIEW, _REVIEW, about=_repository_of)
async def review_exception(call: Call, body: Why) -> ExceptionShown:  # noqa: ARG001  its reason is the actor's
    """Record the review of an exception that has ended."""
    from proxy.overrides.exceptions import review

    return _shown(await review(call.path_params["id"], call.actor, call.ports), call)


OPERATIONS = (list_unsigned, list_exceptions, open_exception, close_exception, review_exception)


def _wanted(call: Call) -> ExceptionRequest:
    """Return the requested exception. Raises Fault: only callers who may open long exceptions may open wide ones."""
    from proxy.overrides.exceptions import ExceptionRequest

    body = call.body
    wide = call.may(Permission.EXCEPT_LONG)
    if not wide and "*" in body.repository:
        raise Forbidden("only a policy-admin may open an exception for a pattern; name one repository")
    where = body.repository if wide else parse_repository(body.repository)
    digest = None if body.digest is None else parse_digest(body.digest)
    return ExceptionRequest(where, digest, body.seconds, body.allow_unsigned_push)


def _longest(call: Call) -> float:
    limits = call.ports.limits
    return limits.exception_long_s if call.may(Permission.EXCEPT_LONG) else limits.exception_s


def _span(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _shown(exception: PolicyException, call: Call) -> ExceptionShown:
    from proxy.overrides.exceptions import is_over

    still_open = not is_over(exception, call.ports)
    return filled(ExceptionShown, exception, repository=exception.repositories, open=still_open)
