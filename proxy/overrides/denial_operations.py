"""Operations on denials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from proxy.admin.affected import counted
from proxy.admin.operation import Argument, Call, Command, Option, Row, Scope, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import Affected, Line, Moment, Shape, Why, filled, one_repository
from proxy.admin.wording import Wanted
from proxy.oci.duration import instant, minute
from proxy.oci.faults import Fault, NotFound, quoted
from proxy.oci.image_name import host_of, parse_name
from proxy.oci.reference import Digest, parse_digest
from proxy.trust.denial import EVERYWHERE, Denial
from proxy.trust.pattern import is_pattern
from proxy.trust.roles import Permission


def _deniable(text: str) -> str:
    """Return the text. Raises ValueError if it is neither a digest nor a pattern."""
    if ":" not in text and is_pattern(text):
        return text
    try:
        return parse_digest(text)
    except Fault:
        with suppress(Fault):
            name = parse_name("" if ":" not in text or text.startswith("sha") else text, (host_of(text),))
            image = f"{name.repository}:{name.reference}"
            raise ValueError(f"an image may change; its digest is what `countersign verify {image}` shows") from None
        raise ValueError from None  # `Target` says what is right


Target = Annotated[
    Line, AfterValidator(_deniable),
    Wanted("write a digest (sha256: and 64 hex digits), a repository such as team/app, or a pattern such as team/**"),
]  # fmt: skip


class NewDenial(Why, frozen=True):
    """The request for a denial."""

    target: Annotated[Target, Argument("DIGEST|REPO")] = Field(
        description="a digest (sha256:...), a repository or a pattern"
    )
    until: Annotated[Moment | None, Option("WHEN", reads="moment")] = Field(
        default=None, description="7d, or 2027-01-31; default: permanent"
    )


class DenialShown(Shape, frozen=True):
    """A denial."""

    id: str
    target: str
    reason: str
    by: str
    at: datetime
    until: datetime | None
    in_force: bool


class Denials(Paged, frozen=True):
    """A page of denials, oldest first."""

    items: tuple[DenialShown, ...]


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    head = ("ID", "TARGET", "STATE", "UNTIL", "BY", "REASON")
    return [head, *((row["id"], row["target"], *_state(row), row["by"], row["reason"]) for row in rows)]


def _state(row: Row) -> tuple[str, str]:
    return "in force" if row["in_force"] else "ended", minute(row["until"]) if row["until"] else "removed"


_DENIALS = Listing[Denial]("denials", lambda denial: (instant(denial.at), denial.id), (str, str))


@operation(
    "GET /denials", Permission.STATUS, Command("deny list", table=_table, rows="denials", empty="nothing is denied"),
    about=Scope.LIST, query=Page,
)  # fmt: skip
async def list_denials(call: Call) -> Denials:
    """List denials: target, end, author, reason."""
    mine = [denial for denial in call.ports.overrides.orders().denials if call.may_see(_repository_of(denial))]
    return _DENIALS.of(Denials, call.query, mine, lambda denial: _shown(denial, call.now))


async def _plan_add(call: Call) -> tuple[str, ...]:
    from proxy.overrides.denials import may_deny

    target, digest = _target(call.body.target)
    ends = may_deny(target, call.body.until, call.actor, call.ports, digest=digest).until
    until = "until it is removed" if ends is None else f"until {ends:%Y-%m-%d %H:%M}Z"
    what = f"every pull and push in {target}"
    if digest:
        what = f"every pull and push of {target} in every repository, and of what it lists if it is an index"
    return (f"block {what}, {until}: regardless of signatures, modes and open exceptions",)


async def _repository_named(call: Call) -> str:
    return "" if ":" in call.body.target else one_repository(call.body.target)


def _added(row: Row) -> list[str]:
    until = f" until {minute(row['until'])}" if row["until"] else ""
    return [f"{row['target']} is denied{until} ({row['id']})"]


async def _affects_add(call: Call) -> Affected:
    from proxy.journal.impact import Within

    target, digest = _target(call.body.target)
    if digest:
        what = "it, and what it lists if it is an index"
        return await counted(call, Within(EVERYWHERE, (Digest(target),)), what)
    return await counted(call, Within(target), f"all images on record in {target}")


@operation(
    "POST /denials", Permission.DENY, Command("deny add", lines=_added), plan=_plan_add, affects=_affects_add,
    about=_repository_named, status=201,
)  # fmt: skip
async def add_denial(call: Call, body: NewDenial) -> DenialShown:
    """Block a digest or repositories, whatever signed them."""
    from proxy.overrides.denials import deny

    target, digest = _target(body.target)
    return _shown(await deny(target, body.until, call.actor, call.ports, digest=digest), call.now)


async def _plan_remove(call: Call) -> tuple[str, ...]:
    from proxy.overrides.denials import find

    found = find(call.path_params["id"], call.ports)
    return (f"leave decisions on {found.target} to policy again; it was denied by {found.by}: {found.reason}",)


async def _repository_denied(call: Call) -> str:
    denials = call.ports.overrides.orders().denials
    return next((_repository_of(denial) for denial in denials if denial.id == call.path_params["id"]), "")


def _id_of(rows: Sequence[Row], denied: str) -> str:
    found = [str(row["id"]) for row in rows if row["in_force"] and row["target"] == denied]
    if len(found) == 1:
        return found[0]
    if not found and re.fullmatch(r"[a-z0-9]{8,20}", denied):
        return denied
    why = f"is denied {len(found)} times: name one of {', '.join(found)}" if found else "is not denied"
    raise NotFound(f"{quoted(denied[:200])} {why}; list the denials with: countersign deny list")


_REMOVE = Command(
    "deny remove", lambda row: [f"{row['target']} is no longer denied ({row['id']})"],
    named=_id_of, named_in="denials", may_name=_deniable, metavar="ID|DIGEST|REPO",
)  # fmt: skip


@operation("POST /denials/{id}/remove", Permission.DENY, _REMOVE, plan=_plan_remove, about=_repository_denied)
async def remove_denial(call: Call, body: Why) -> DenialShown:  # noqa: ARG001  its reason is the actor's
    """Remove a denial. Policy alone decides again."""
    from proxy.overrides.denials import lift

    return _shown(await lift(call.path_params["id"], call.actor, call.ports), call.now)


OPERATIONS = (list_denials, add_denial, remove_denial)


def _repository_of(denial: Denial) -> str:
    return "" if denial.digest else one_repository(denial.repositories)


def _target(text: str) -> tuple[Digest | str, bool]:
    """Return the digest or the pattern, and whether it is a digest."""
    return (parse_digest(text), True) if ":" in text else (text, False)


def _shown(denial: Denial, now: datetime) -> DenialShown:
    return filled(DenialShown, denial, in_force=denial.holds_at(now))
