"""Cursors: both directions, bound to their list and filters, harmless when they are forged."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from proxy.admin.paging import Listing, Page, Paged
from proxy.oci.faults import Invalid


class Numbers(Paged, frozen=True):
    items: tuple[int, ...]


class Filtered(Page, frozen=True):
    about: str = ""


NUMBERS = Listing[int]("numbers", lambda number: (number,), (int,))
OTHERS = Listing[int]("others", lambda number: (number,), (int,))


def page(cursor: str | None, rows: range = range(1, 8), limit: int = 3) -> Numbers:
    return NUMBERS.of(Numbers, Page(limit=limit, cursor=cursor or ""), rows, lambda number: number)


def test_pages_lead_to_the_end_and_back() -> None:
    first = page(None)
    second = page(first.next)
    third = page(second.next)
    assert (first.items, second.items, third.items) == ((1, 2, 3), (4, 5, 6), (7,))
    assert (first.previous, third.next) == (None, None)
    back = page(third.previous)
    assert back.items == (4, 5, 6)
    assert page(back.previous).items == (1, 2, 3)
    assert page(page(back.previous).next).items == (4, 5, 6)


def test_rows_that_come_and_go_shift_no_page() -> None:
    first = page(None)
    assert page(first.next, range(8)).items == (4, 5, 6)
    assert page(first.next, range(5, 8)).items == (5, 6, 7)


@pytest.mark.parametrize(
    "forged",
    ["!", "e30", "x" * 8, *(urlsafe_b64encode(text.encode()).decode() for text in ("[]", "{}", "1", '["a",true,"1"]',
     '["a",1,1]', '["a",true,1,1]', '["a",true,-1]', '["a",true,9223372036854775808]', '["a",true,true]'))],
)  # fmt: skip
def test_what_no_list_gave_is_refused_in_plain_words(forged: str) -> None:
    with pytest.raises(Invalid, match="not `next` or `previous` of a page"):
        NUMBERS.part(Page.model_construct(limit=3, cursor=forged))


def test_a_cursor_works_for_its_own_list_and_filters_only() -> None:
    cursor = page(None).next or ""
    with pytest.raises(Invalid, match="a list with other filters"):
        OTHERS.part(Page(cursor=cursor))
    with pytest.raises(Invalid, match="a list with other filters"):
        NUMBERS.part(Filtered(cursor=cursor, about="team/app"))
    assert NUMBERS.part(Page(cursor=cursor, limit=1)).limit == 2, "the size of a page may change"
