"""Lists page by page: cursors, each bound to its list and filters, lead to the next and the previous page."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field

from proxy.admin.shapes import Shape
from proxy.oci.faults import Invalid
from proxy.oci.slices import Key, Slice, within
from proxy.oci.strict_json import canonical

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
CURSOR = r"^[A-Za-z0-9_-]*={0,2}$"
_LARGEST = 2**63  # what the number of a row is less than, in both databases


class Page(Shape, frozen=True):
    """A page of a list."""

    limit: int = Field(default=100, ge=1, le=1000, description="maximum number of rows")
    cursor: str = Field(
        default="",
        max_length=400,
        pattern=CURSOR,
        description="`next` or `previous` of a page with the same filters; without it: the first page",
    )


class Paged(Shape, frozen=True):
    """The cursors of a page."""

    next: Annotated[str | None, Field(description="`cursor` of the next page; null on the last")]
    previous: Annotated[str | None, Field(description="`cursor` of the previous page; null on the first")]


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list: its name, the key of each row, and the types of the parts of a key."""

    name: str
    key_of: Callable[[T], Key]
    kinds: tuple[type, ...]

    def part(self, page: Page) -> Slice:
        """Return the rows to read for this page: one more than its limit, to see whether more follow. Raises Invalid.

        A cursor says where to go on and nothing else: what a caller may see is decided for each row.
        """
        if not page.cursor:
            return Slice(page.limit + 1)
        try:
            bound, back, *key = json.loads(urlsafe_b64decode(page.cursor))
            good = type(back) is bool and [type(part) for part in key] == list(self.kinds) and all(map(_sane, key))
        except (ValueError, TypeError):
            good = False
        if not good:
            raise Invalid(
                "cursor: this is not `next` or `previous` of a page; leave it out to begin with the first page",
                "invalid_cursor",
            )
        if bound != self._bound(page):
            raise Invalid(
                "cursor: it is from a list with other filters; repeat those filters, or leave the cursor out to begin "
                "with the first page",
                "invalid_cursor",
            )
        return Slice(page.limit + 1, tuple(key), back)

    def page(
        self, shape: type[M], page: Page, rows: Sequence[T], show: Callable[[T], Any], grows: str = "", upto: Key = ()
    ) -> M:
        """Return the page made of the rows of its part; rows that are shown as None are left out.

        `grows` names the cursor (`next` or `previous`) on whose side rows are added to the list: there it always is, so
        that a reader can wait for them. `upto`: behind this key some may be added before others that are there already.
        """
        part = self.part(page)
        more = len(rows) > page.limit
        if more:
            rows = rows[1:] if part.back else rows[:-1]
        beyond = {"next": more or part.back, "previous": more if part.back else bool(part.key)}
        ends = {"next": self.key_of(rows[-1]), "previous": self.key_of(rows[0])} if rows else {}
        keys = {name: key for name, key in ends.items() if beyond[name]}
        if grows and grows not in keys:
            last = ends.get(grows, part.key or (0,))
            keys[grows] = min(last, upto) if upto else last
        cursors = {name: self._cursor(page, name, keys[name]) if name in keys else None for name in beyond}
        shown = (each for row in rows if (each := show(row)) is not None)
        return shape(items=tuple(shown), **cursors)

    def of(self, shape: type[M], page: Page, rows: Sequence[T], show: Callable[[T], Any]) -> M:
        """Return the page of a list that is in memory, in the order of its keys."""
        return self.page(shape, page, within(rows, self.key_of, self.part(page)), show)

    def _cursor(self, page: Page, name: str, key: Key) -> str:
        return urlsafe_b64encode(canonical([self._bound(page), name == "previous", *key]).encode()).decode()

    def _bound(self, page: Page) -> str:
        """Return the hash of the list and its filters."""
        filters = page.model_dump(mode="json", exclude={"limit", "cursor"})
        return hashlib.sha256(canonical([self.name, filters]).encode()).hexdigest()[:16]


def _sane(part: int | str) -> bool:
    return 0 <= part < _LARGEST if isinstance(part, int) else part.isascii() and part.isprintable()
