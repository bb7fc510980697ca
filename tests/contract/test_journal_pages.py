"""The journal page by page, while others write it: a reader that follows `next` sees every row exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.journal.rows import append_rows
from proxy.server.journal_operations import JournalPage, Order, Rows, rows_of
from proxy.server.store import Store, open_store
from proxy.store.engines import parsed
from proxy.store.engines import postgres as connections
from tests.contract.conftest import AnyStore
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.postgres import Cluster

WRITERS, EACH = 4, 60


def row(name: str) -> Event:
    return Event(NOON, EventKind.ADMIN_CALLED, "ci", repository="team/app", request_id=name)


async def page(store: AnyStore, cursor: str = "", order: Order = Order.ASCENDING, limit: int = 7) -> Rows:
    return await rows_of(JournalPage(limit=limit, cursor=cursor, order=order), store.journal)


def named(rows: Rows) -> list[str]:
    return [item.request_id for item in rows.items]


async def test_a_reader_that_follows_next_while_rows_are_written_sees_every_row_once(store: AnyStore) -> None:
    async def write(who: int) -> None:
        for n in range(EACH):
            await store.journal.record(row(f"{who}-{n}"))

    writing = asyncio.gather(*(write(who) for who in range(WRITERS)))
    seen, cursor, over = list[str](), "", False
    while not over:
        over = writing.done()  # what was written before this page is on it, or on a later one
        while True:
            rows = await page(store, cursor)
            assert rows.next is not None, "there is always one, to wait for rows with"
            cursor = rows.next
            seen += named(rows)
            if not rows.items:
                break
        await asyncio.sleep(0)
    await writing
    assert sorted(seen) == sorted(f"{who}-{n}" for who in range(WRITERS) for n in range(EACH))


async def test_rows_written_meanwhile_do_not_shift_a_page(store: AnyStore) -> None:
    for n in range(6):
        await store.journal.record(row(str(n)))
    first = await page(store, order=Order.DESCENDING, limit=2)
    await store.journal.record(row("late"))
    second = await page(store, first.next or "", Order.DESCENDING, 2)
    third = await page(store, second.next or "", Order.DESCENDING, 2)
    assert (named(first), named(second), named(third)) == (["5", "4"], ["3", "2"], ["1", "0"])
    assert third.next is None
    assert named(await page(store, third.previous or "", Order.DESCENDING, 2)) == ["3", "2"], "back again"
    newer = await page(store, first.previous or "", Order.DESCENDING, 2)
    assert named(newer) == ["late"]
    assert (await page(store, newer.previous or "", Order.DESCENDING, 2)).items == ()
    ids = [item.id for item in (*first.items, *second.items, *third.items)]
    assert ids == sorted(set(ids), reverse=True)


async def test_a_reader_of_an_empty_journal_waits_for_the_first_row(store: AnyStore) -> None:
    nothing = await page(store)
    assert nothing.items == ()
    await store.journal.record(row("first"))
    assert named(await page(store, nothing.next or "")) == ["first"]


@pytest.fixture
async def two(postgres: Cluster, clock: FrozenClock) -> AsyncIterator[tuple[Store, AsyncEngine]]:
    """A server, and connections of another one to the same store."""
    store, other = await open_store(postgres.url("contract"), clock), _engine(postgres)
    yield store, other
    await other.dispose()
    await store.close()
    postgres.execute("contract", "DELETE FROM journal")


def _engine(cluster: Cluster) -> AsyncEngine:
    return connections(parsed(cluster.url("contract")))


@pytest.mark.real
async def test_a_row_that_commits_later_with_a_smaller_position_is_not_lost(two: tuple[Store, AsyncEngine]) -> None:
    store, other = two
    await store.journal.record(row("before"))
    async with other.connect() as connection:
        slow = await connection.begin()
        await connection.run_sync(lambda sync: append_rows(sync, (row("slow"),)))
        await store.journal.record(row("quick"))
        rows = await page(store)
        assert named(rows) == ["before"], "behind it something may still come"
        down = await page(store, order=Order.DESCENDING)
        assert named(down) == ["quick", "before"], "who looks for the newest sees it"
        await slow.commit()
    assert named(await page(store, rows.next or "")) == ["slow", "quick"]
    assert named(await page(store, down.previous or "", Order.DESCENDING)) == ["quick", "slow"], "nothing is missed"


@pytest.mark.real
async def test_rows_of_a_transaction_that_is_undone_hold_nobody_up(two: tuple[Store, AsyncEngine]) -> None:
    store, other = two
    async with other.connect() as connection:
        undone = await connection.begin()
        await connection.run_sync(lambda sync: append_rows(sync, (row("undone"),)))
        reading = asyncio.create_task(page(store))
        await undone.rollback()
    await store.journal.record(row("after"))
    assert named(await reading) in ([], ["after"])
    assert named(await page(store)) == ["after"]
    assert [e.request_id for e in await store.journal.search(Search())] == ["after"]
