"""Operations on the record: its rows, and what enforcing the policies would have blocked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from proxy.admin.operation import Call, Command, Option, Row, Scope, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import Moment, PulledBy, Shape, filled, one_repository, pulled_by
from proxy.admin.wording import Wanted
from proxy.journal.event import GROUPS, EventKind
from proxy.journal.said import said
from proxy.oci.duration import minute, second
from proxy.oci.faults import quoted, visible
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.journal.port import Journal, JournalEntry
    from proxy.journal.reports import WouldBlock
    from proxy.policies.impact import Verdict

SPAN = timedelta(days=7)
_DIGEST = 19  # characters of a digest that people compare
_JUDGED, _SECONDS = 1000, 30.0  # images judged again for one report, and the time for it
_FROM_THE_RECORD = "this is from its record"


def kinds_of(text: str) -> tuple[EventKind, ...]:
    """Return the kinds, of names and groups that are separated by commas. Raises ValueError for one that is none."""
    kinds = list[EventKind]()
    for name in filter(None, text.split(",")):
        group = GROUPS.get(name) or tuple(kind for kind in EventKind if fnmatchcase(kind.value, name))
        if not group:
            near = get_close_matches(name, (*EventKind, *GROUPS), 1, 0.5)
            guess = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"no kind of event is named {quoted(name)}; {guess}docs/events.md lists them")
        kinds += group
    return tuple(dict.fromkeys(kinds))


def _of_kinds(text: str) -> str:
    kinds_of(text)
    return text


class Order(StrEnum):
    """The order of rows."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class JournalPage(Page, frozen=True):
    """A query for journal rows. Rows that are written meanwhile shift no page."""

    kind: Annotated[str, AfterValidator(_of_kinds), Option("KIND", reads="several")] = Field(
        default="",
        max_length=1000,
        description="only these kinds (docs/events.md), `changes` or `denials`; in a call separated by commas",
    )
    repository: Annotated[str, Option("NAME")] = Field(
        default="", max_length=255, description="only rows about this repository, or this pattern: team/**"
    )
    digest: Annotated[str, Option("DIGEST")] = Field(
        default="", max_length=200, description="only rows about this digest; its beginning is enough"
    )
    who: Annotated[str, Option("NAME")] = Field(default="", max_length=300, description="only rows of this user")
    reason: Annotated[str, Option("CODE")] = Field(
        default="", max_length=200, description="only rows with this reason code (docs/reasons.md)"
    )
    key: Annotated[str, Wanted("write at least the first 8 hex digits of a fingerprint"), Option("KEY")] = Field(
        default="",
        pattern=r"^([0-9a-f]{8,64})?$",
        description="only rows about this key: its fingerprint, or at least 8 digits of it",
    )
    since: Annotated[Moment | None, Option("SPAN", reads="since")] = Field(
        default=None, description="only rows since then: 2027-01-31T00:00:00Z; the command also takes 7d, 12h"
    )
    until: Annotated[Moment | None, Option("SPAN", reads="since")] = Field(
        default=None, description="only rows until then, likewise"
    )
    all: Annotated[bool, Option(reads="flag")] = Field(
        default=False, description="also rows about who read what here (audit.read)"
    )
    order: Annotated[Order, Option(reads="choice")] = Field(
        default=Order.DESCENDING, description="desc: newest first; asc: oldest first"
    )


class JournalRow(Shape, frozen=True):
    """One row of the journal (docs/events.md)."""

    id: int = Field(description="its position in the journal, which never changes")
    at: datetime
    last: datetime = Field(description="the time of the last event, of a row that counts several (`detail.count`)")
    kind: EventKind
    who: str
    how: str
    repository: str
    reference: str
    digest: str
    reason: str
    decision_id: str
    request_id: str
    policy_revision: str
    key_revision: str
    detail: dict[str, Any]


class Rows(Paged, frozen=True):
    """A page of the journal. The cursor towards newer rows is never null: a reader that waits for rows repeats it."""

    items: tuple[JournalRow, ...]
    nothing: str = Field(default="", description="why no row matches")


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("AT", "WHAT", "WHO", "HOW", "ABOUT", "TIMES", "DECISION", "SAYS"), *map(_cells, rows)]


def _cells(row: Row) -> tuple[str, ...]:
    name, reference, digest = row["repository"], row["reference"], row["digest"]
    tag = "" if ":" in reference or not reference else f":{reference}"
    about = f"{name}{tag} {(digest or reference[len(tag) :])[:_DIGEST]}".strip()
    times = f"{row['detail'].get('count', 1)}x"
    told = (row["kind"], row["who"], row["how"], about, times, row["decision_id"] or "-", said(row))
    return (second(row["at"]), *(visible(each, 300) for each in told))


_JOURNAL = Command(
    "journal", table=_table, rows="items", empty="no entries match", limit=50,
    fallback=("proxy.server.offline_record:journal", _FROM_THE_RECORD),
)  # fmt: skip


async def _repository(call: Call) -> str:
    return one_repository(call.query.repository)


@operation("GET /journal", Permission.JOURNAL, _JOURNAL, about=_repository, query=JournalPage, unrecorded=True)
async def journal(call: Call) -> Rows:
    """List the rows of the journal, newest first."""
    return await rows_of(call.query, call.ports.journal, whole=call.may_see(""))


async def rows_of(page: JournalPage, journal: Journal, *, whole: bool = True) -> Rows:
    """Return this page. Who may not see the `whole` journal learns nothing about rows of other repositories."""
    from proxy.journal.port import Search

    part, newest_first = ROWS.part(page), page.order is Order.DESCENDING
    kinds = kinds_of(page.kind)
    wanted = Search(
        kinds, page.repository, page.digest, page.since, part.limit, page.until,
        () if kinds or page.all else (EventKind.AUDIT_READ,), page.who,
        page.reason, page.key, not newest_first, int(part.key[0]) if part.key else None, part.back,
    )  # fmt: skip
    found = await journal.entries(wanted)
    upto = () if found.settled is None else (found.settled,)
    rows = ROWS.page(Rows, page, found.rows, row_of, "previous" if newest_first else "next", upto)
    if rows.items or page.cursor:
        return rows
    return rows.model_copy(update={"nothing": await _nothing(page, journal, whole=whole)})


async def _nothing(page: JournalPage, journal: Journal, *, whole: bool) -> str:
    """Return why no row matches: because one of the values is in no row at all. Empty if each is in some."""
    if page.since and page.until and page.since > page.until:
        return "no time is after --since and before --until"
    from proxy.journal.port import Search

    about = "" if whole else page.repository
    for text, wanted in (
        (f"no row names repository {page.repository}", Search(repository=page.repository)),
        (f"no row names digest {page.digest}", Search(repository=about, digest=page.digest)),
        (f"no row names key {page.key}", Search(repository=about, key=page.key)),
        (f"no row is of user {page.who}", Search(repository=about, who=page.who)),
        (f"no row has reason {page.reason}", Search(repository=about, reason=page.reason)),
    ):
        if wanted != Search(repository=about) and not (await journal.entries(replace(wanted, limit=1))).rows:
            return text
    return ""


def row_of(entry: JournalEntry) -> JournalRow:
    """Return the row in the form of the admin API."""
    event = entry.event
    return filled(JournalRow, event, id=entry.position, last=entry.last, detail=dict(event.detail))


ROWS: Listing[JournalEntry] = Listing("journal", lambda entry: (entry.position,), (int,))


class Since(Shape, frozen=True):
    """The start of a report."""

    since: Annotated[Moment | None, Option("SPAN", reads="since")] = Field(
        default=None, description="2027-01-31T00:00:00Z; the command also takes 2w, 12h; default: 7 days ago"
    )


class WarnedImage(PulledBy, frozen=True):
    """An image under one reference that only warn mode allowed."""

    repository: str
    reference: str
    reasons: tuple[tuple[str, int], ...] = Field(description="reason codes, each with its pulls, the commonest first")
    pulls: int
    last: datetime
    decision: str = Field(description="the newest decision, for `why`")
    judged: bool = Field(description="judged again: enforcing would block it now; false: it could not be judged")
    why: str = Field(description="why it would be blocked now, or why it could not be judged")


class WouldBlockShown(Shape, frozen=True):
    """The images that enforce mode would block: those pulled with a warning, judged again."""

    since: datetime
    images: tuple[WarnedImage, ...]
    pass_now: int = Field(description="images left out: they satisfy the policies by now")
    gone: int = Field(description="images left out: the registry does not have them any more")
    not_judged: int = Field(description="images in the list that could not be judged")


def _images(row: Row) -> list[str | tuple[str, ...]]:
    since, count = minute(row["since"]), len(row["images"]) - row["not_judged"]
    judged = " and could be judged" * bool(row["not_judged"])
    nothing = f"enforcing would block nothing that was pulled since {since}{judged}"
    lines: list[str | tuple[str, ...]] = [f"images that enforcing would block: {count}" if count else nothing]
    left = [f"{row['pass_now']} that pass now"] * bool(row["pass_now"])
    left += [f"{row['gone']} that the registry does not have any more"] * bool(row["gone"])
    lines += [f"left out: {', '.join(left)}"] * bool(left)
    if row["not_judged"]:
        lines.append(f"NOT JUDGED, so they may be blocked too: {row['not_judged']}")
    if row["images"]:
        lines += [("PULLS", "LAST", "IMAGE", "PULLED BY", "WHY"), *map(_image, row["images"])]
    return lines


def _image(row: Row) -> tuple[str, ...]:
    name = f"{row['repository']}{'@' if ':' in row['reference'] else ':'}{row['reference']}"
    why = row["why"] if row["judged"] else f"NOT JUDGED: {row['why']}"
    return (str(row["pulls"]), minute(row["last"]), name, pulled_by(row), visible(why, 160))


_WOULD_BLOCK = Command(
    "report would-block", _images, fallback=("proxy.server.offline_record:would_block", _FROM_THE_RECORD),
)  # fmt: skip


@operation("GET /report/would-block", Permission.JOURNAL, _WOULD_BLOCK, about=Scope.LIST, query=Since, unrecorded=True)
async def would_block(call: Call) -> WouldBlockShown:
    """List what enforce mode would block now, and who pulled it."""
    from proxy.oci.operation import PullManifest
    from proxy.oci.reference import parse_reference, parse_repository
    from proxy.policies.impact import enforced
    from proxy.policies.replay import judged_again
    from proxy.registry.ports.upstream import Credential
    from proxy.registry.request import Request
    from proxy.server.store import Store

    since, ports = call.query.since or call.now - SPAN, call.ports
    rows = [row for row in await call.use(Store).journal.would_block(since) if call.may_see(row.repository)]
    names = [PullManifest(parse_repository(row.repository), parse_reference(row.reference)) for row in rows[:_JUDGED]]
    request = Request(Credential(ours=True), call.actor.request_id, address="admin")
    verdicts = await judged_again(names, enforced(ports.rules.current()), request, ports, _SECONDS)
    return warned(since, rows, verdicts, f"only the {_JUDGED} images that are pulled most are judged")


def warned(since: datetime, rows: Sequence[WouldBlock], verdicts: Sequence[Verdict], unjudged: str) -> WouldBlockShown:
    """Return the images in the form of the admin API; `unjudged` says why those without a verdict have none."""
    from proxy.policies.impact import PullVerdict, Verdict

    late = [Verdict(PullVerdict.UNKNOWN, detail=unjudged)] * (len(rows) - len(verdicts))
    found = list(zip(rows, (*verdicts, *late), strict=True))
    stand = [verdict.standing for _, verdict in found]
    listed = {PullVerdict.BLOCKED, PullVerdict.UNKNOWN}
    return WouldBlockShown(
        since=since,
        images=tuple(_shown(row, verdict) for row, verdict in found if verdict.standing in listed),
        pass_now=stand.count(PullVerdict.ALLOWED),
        gone=stand.count(PullVerdict.GONE),
        not_judged=stand.count(PullVerdict.UNKNOWN),
    )


def _shown(row: WouldBlock, verdict: Verdict) -> WarnedImage:
    why = ": ".join(part for part in (verdict.reason, verdict.detail) if part)
    return filled(
        WarnedImage, row, pulls=row.count, decision=row.decision_id, pulled_by=row.callers.names,
        callers=row.callers.count, judged=verdict.standing == "blocked", why=why,
    )  # fmt: skip


OPERATIONS = (journal, would_block)
