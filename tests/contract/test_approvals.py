"""Requests for a second person: kept whole, decided by one of two who try at once, listed, found when overdue."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from proxy.admin.approval import ApprovalState, decided
from proxy.admin.approval_operations import APPROVALS
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.slices import Slice
from proxy.trust.allotment import Allotment
from tests.contract.conftest import AnyStore
from tests.unit.admin.test_approval import MAX, REQUEST
from tests.worlds.memory import NOON

FULL = replace(REQUEST, places={"profile": "release"}, given={"reason": "a \N{SNOWMAN}"}, body='{"reason":"x"}')
ASKED = Event(NOON, EventKind.APPROVAL_ASKED)
LATER = replace(REQUEST, id="1" * 16, created=NOON + timedelta(seconds=1), expires=NOON + timedelta(days=2))


async def test_a_request_comes_back_whole(store: AnyStore) -> None:
    assert await store.approvals.find(FULL.id) is None
    await store.approvals.add(FULL, ASKED)
    found = await store.approvals.find(FULL.id)
    assert found == FULL
    assert found.by.request_id == FULL.by.request_id
    agreed = await store.approvals.change(
        FULL.id, partial(decided, state=ApprovalState.APPROVED, by=MAX, now=NOON, note="seen")
    )
    assert agreed is not None
    assert await store.approvals.find(FULL.id) == agreed


async def test_of_two_who_decide_at_once_one_does(store: AnyStore) -> None:
    await store.approvals.add(FULL, ASKED)
    states = (ApprovalState.APPROVED, ApprovalState.REJECTED, ApprovalState.APPROVED)
    got = await asyncio.gather(
        *(store.approvals.change(FULL.id, partial(decided, state=s, by=MAX, now=NOON, note="")) for s in states)
    )
    assert sum(each is not None for each in got) == 1


async def test_lists_and_what_is_overdue(store: AnyStore) -> None:
    await store.approvals.add(FULL, ASKED)
    await store.approvals.add(LATER, ASKED)
    assert [a.id for a in await store.approvals.page(None, Slice(10))] == [LATER.id, FULL.id]
    assert [a.id for a in await store.approvals.page(None, Slice(1, APPROVALS.key_of(LATER)))] == [FULL.id]
    assert [a.id for a in await store.approvals.overdue(NOON + timedelta(days=1))] == [FULL.id]
    expired = partial(decided, state=ApprovalState.EXPIRED, by=None, now=NOON, note="")
    await store.approvals.change(FULL.id, expired)
    assert await store.approvals.overdue(NOON + timedelta(days=1)) == ()
    assert [a.id for a in await store.approvals.page(ApprovalState.PENDING, Slice(10))] == [LATER.id]


async def test_the_same_request_of_the_same_person_waits_once_and_a_person_has_only_so_many(store: AnyStore) -> None:
    approvals, room = store.approvals, Allotment("erika", 2, 5)
    assert await approvals.add(FULL, ASKED, room) == FULL
    assert await approvals.add(replace(FULL, id="9" * 16), ASKED, room) == FULL
    assert await approvals.add(LATER, ASKED, room) == LATER
    more = replace(FULL, id="8" * 16, body="{}")
    with pytest.raises(ValueError, match="approvals list"):
        await approvals.add(more, ASKED, room)
    assert len(await store.journal.search(Search(kinds=(EventKind.APPROVAL_ASKED,)))) == 2, "one for each that is kept"
    assert await approvals.add(replace(more, by=MAX), ASKED, Allotment("max", 2, 5)) == replace(more, by=MAX)
    gone = partial(decided, state=ApprovalState.REJECTED, by=MAX, now=NOON, note="")
    await approvals.change(FULL.id, gone)
    again = replace(FULL, id="7" * 16)
    assert await approvals.add(again, ASKED, room) == again
