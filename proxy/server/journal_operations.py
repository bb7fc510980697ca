"""Operations on the record: its rows, and what enforcing the policies would have blocked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from proxy.admin.operation import Call, Command, Option, Row, Scope, operation
from proxy.admin.shapes import Moment, Next, Page, PulledBy, Shape, filled, page_read, pulled_by
from proxy.journal.event import Event, EventKind
from proxy.oci.duration import minute
from proxy.oci.faults import visible
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.journal.port import Search
    from proxy.journal.reports import WouldBlock
    from proxy.policies.impact import Verdict

SPAN = timedelta(days=7)
_JUDGED, _SECONDS = 1000, 30.0  # images judged again for one report, and the time for it
_FROM_THE_RECORD = "this is from its record"


class JournalPage(Page, frozen=True):
    """A query for journal rows, newest first. Rows added meanwhile may make some appear twice; none is skipped."""

    kind: Annotated[EventKind | None, Option("KIND")] = Field(
        default=None, description="only rows of this kind (docs/events.md)"
    )
    repository: Annotated[str, Option("NAME")] = Field(
        default="", max_length=255, description="only rows about this repository"
    )
    digest: Annotated[str, Option("DIGEST")] = Field(
        default="", max_length=200, description="only rows about this digest"
    )
    since: Annotated[Moment | None, Option("SPAN", reads="since")] = Field(
        default=None, description="only rows since then: 2027-01-31T00:00:00Z; the command also takes 7d, 12h"
    )


class JournalRow(Shape, frozen=True):
    """One row of the journal (docs/events.md)."""

    at: datetime
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


class Rows(Shape, frozen=True):
    """A page of the journal, newest first."""

    items: tuple[JournalRow, ...]
    next: Next


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("AT", "WHAT", "WHO", "HOW", "ABOUT", "MORE"), *map(_cells, rows)]


def _cells(row: Row) -> tuple[str, ...]:
    about = row["repository"] or str(row["detail"].get("call", row["detail"].get("key", "")))
    about = f"{about} {row['reference'] or row['digest']}".strip()
    more = row["reason"] or row["detail"].get("reason") or row["detail"].get("given") or ""
    told = (row["kind"], row["who"], row["how"], about, more)
    return (minute(row["at"]), *(visible(str(each), 100) for each in told))


_JOURNAL = Command(
    "journal", table=_table, rows="items", empty="no row matches", limit=50,
    fallback=("proxy.server.offline_record:journal", _FROM_THE_RECORD),
)  # fmt: skip


async def _repository(call: Call) -> str:
    return str(call.query.repository)


@operation("GET /journal", Permission.JOURNAL, _JOURNAL, about=_repository, query=JournalPage, unrecorded=True)
async def journal(call: Call) -> Rows:
    """List the rows of the journal, newest first."""
    page = call.query
    rows, after = page_read(await call.ports.journal.search(search_of(page, page.limit + 1)), page)
    return Rows(items=tuple(map(row_of, rows)), next=after)


def search_of(page: JournalPage, limit: int) -> Search:
    """Return the search for this page, with another number of rows."""
    from proxy.journal.port import Search

    kinds = () if page.kind is None else (page.kind,)
    return Search(kinds, page.repository, page.digest, page.since, limit, page.skip)


def row_of(event: Event) -> JournalRow:
    """Return the row in the form of the admin API."""
    return filled(JournalRow, event, detail=dict(event.detail))


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
