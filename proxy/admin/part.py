"""A page of a list that is wholly in memory."""

from __future__ import annotations

from typing import TypeVar, cast

from proxy.admin.dispatch import Acting
from proxy.admin.shapes import Page

T = TypeVar("T")


def part(rows: tuple[T, ...], acting: Acting) -> tuple[tuple[T, ...], int | None]:
    """Return the rows that were asked for, and what to skip to get those after them."""
    page = cast("Page", acting.query)
    after = page.skip + page.limit
    return rows[page.skip : after], after if after < len(rows) else None
