"""Operations on the record: its rows, and what enforcing the policies would have blocked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, Field

from proxy.admin.operation import Call, Command, Option, Row, Scope, operation
from proxy.admin.shapes import Next, Page, Shape, filled, page_read
from proxy.journal.event import Event, EventKind
from proxy.oci.duration import minute
from proxy.oci.faults import plain
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.journal.port import Search
    from proxy.journal.reports import WouldBlock

SPAN = timedelta(days=7)
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
    since: Annotated[AwareDatetime | None, Option("SPAN", reads="since")] = Field(
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
    return (minute(row["at"]), *(plain(str(each), 100) for each in told))


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

    since: Annotated[AwareDatetime | None, Option("SPAN", reads="since")] = Field(
        default=None, description="2027-01-31T00:00:00Z; the command also takes 2w, 12h; default: 7 days ago"
    )


class WarnedImage(Shape, frozen=True):
    """An image under one reference that only warn mode allowed."""

    repository: str
    reference: str
    reasons: tuple[tuple[str, int], ...] = Field(description="reason codes, each with its pulls, the commonest first")
    pulls: int
    last: datetime
    decision: str = Field(description="the newest decision, for `why`")


class WouldBlockShown(Shape, frozen=True):
    """The pulls that enforce mode would have blocked."""

    since: datetime
    images: tuple[WarnedImage, ...]


def _images(row: Row) -> list[str | tuple[str, ...]]:
    if not row["images"]:
        return [f"nothing since {minute(row['since'])}: enforcing would have blocked no pull"]
    return [("PULLS", "LAST", "IMAGE", "WHY"), *map(_image, row["images"])]


def _image(row: Row) -> tuple[str, ...]:
    reasons = ", ".join(f"{code} ({count})" for code, count in row["reasons"])
    name = f"{row['repository']}{'@' if ':' in row['reference'] else ':'}{row['reference']}"
    return (str(row["pulls"]), minute(row["last"]), name, reasons)


_WOULD_BLOCK = Command(
    "report would-block", _images, fallback=("proxy.server.offline_record:would_block", _FROM_THE_RECORD),
)  # fmt: skip


@operation("GET /report/would-block", Permission.JOURNAL, _WOULD_BLOCK, about=Scope.LIST, query=Since, unrecorded=True)
async def would_block(call: Call) -> WouldBlockShown:
    """List pulls that enforce mode would have blocked."""
    from proxy.server.store import Store

    since = call.query.since or call.now - SPAN
    return warned(since, await call.use(Store).journal.would_block(since), call.may_see)


def warned(since: datetime, rows: Iterable[WouldBlock], may_see: Callable[[str], bool]) -> WouldBlockShown:
    """Return the images of these repositories in the form of the admin API."""
    mine = (row for row in rows if may_see(row.repository))
    images = (filled(WarnedImage, row, pulls=row.count, decision=row.decision_id) for row in mine)
    return WouldBlockShown(since=since, images=tuple(images))


OPERATIONS = (journal, would_block)
