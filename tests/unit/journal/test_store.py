"""What waits for the disk and what does not. Behaviour: tests/contract/test_journal.py."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, text

from proxy.journal import store as journal
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.journal.store import StoredJournal
from proxy.oci.faults import Unavailable
from proxy.server.store import Store, open_store
from proxy.trust.reason import Reason
from tests.unit.conftest import until
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.stored import decision, happened

ALLOWED = decision("a")
DENIED = decision("d", Reason.UNSIGNED)


async def rows(store: Store) -> int:
    return await store._database.read(lambda c: c.execute(text("SELECT count(*) FROM journal")).scalar_one())


async def test_an_allowed_pull_does_not_wait_and_a_denial_does(store: Store) -> None:
    await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    assert await rows(store) == 0
    await store.journal.decided(DENIED, happened(EventKind.PULL_DENIED, DENIED))
    assert await rows(store) == 2


async def test_an_exception_made_for_a_caller_waits_and_so_does_its_decision(store: Store) -> None:
    await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    await store.journal.decided(ALLOWED, happened(EventKind.PULL_REVIEWED, ALLOWED))
    assert await StoredJournal(store._database).decision("a") == ALLOWED


async def test_allowed_pulls_follow_by_themselves_in_one_row(store: Store) -> None:
    following = StoredJournal(store._database, flush_after=0.01)
    for _ in range(1000):
        await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    await until(lambda: not following._pending and following._flushing is None)
    (event,) = await following.search(Search())
    assert event.detail["count"] == 1000
    await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    (event,) = await following.search(Search())
    assert event.detail["count"] == 1001
    await following.close()


async def test_what_follows_yields_to_clients_in_batches_until_a_denial_waits_for_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, open_again, order = store._database, threading.Event(), list[int]()
    count = journal._count

    def counting(connection: Connection, counted: list[Any], new: list[Any]) -> bool:
        order.append(len(counted))
        return count(connection, counted, new)

    monkeypatch.setattr(journal, "_count", counting)
    following = StoredJournal(database, flush_after=0)
    for n in range(1_200):
        await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED, who=f"caller {n}"))
    busy = asyncio.create_task(database.write(lambda _: open_again.wait(5)))
    await until(lambda: len(database._bulk) == 1)
    denied = asyncio.create_task(following.decided(DENIED, happened(EventKind.PULL_DENIED, DENIED)))
    await until(lambda: not database._bulk)
    open_again.set()
    await asyncio.gather(busy, denied)
    assert order == [500, 701]
    assert await rows(store) == 1_201
    for n in range(1_200):
        await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED, who=f"caller {n}"))
    await until(lambda: following._flushing is None)
    assert order == [500, 701, 500, 500, 200]
    await following.close()


async def test_closing_writes_what_is_waiting(url: str) -> None:
    store = await open_store(url, FrozenClock())
    await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    await store.close()
    again = await open_store(url, FrozenClock())
    assert len(await again.journal.search(Search())) == 1
    assert await again.journal.decision("a") == ALLOWED
    await again.close()


async def test_what_cannot_be_written_waits_is_said_and_is_not_lost(store: Store) -> None:
    following = StoredJournal(store._database, flush_after=0.01)
    writer, store._database._writer = store._database._writer, None
    await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    await until(lambda: "read only" in (following.trouble or ""))
    await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    store._database._writer = writer
    await until(lambda: following.trouble is None)
    (event,) = await following.search(Search())
    assert event.detail["count"] == 2
    assert await StoredJournal(store._database).decision("a") == ALLOWED
    await following.close()


async def test_trouble_is_not_over_while_another_flush_has_the_rows_and_they_come_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the loop found nothing that waits meanwhile, said that all is well, and ended."""
    following, fail, back = StoredJournal(store._database, flush_after=0.01), asyncio.Event(), asyncio.Event()
    write = store._database.write

    async def hangs(work: Any, then: Any = None, *, bulk: bool = False) -> Any:
        if back.is_set():
            return await write(work, then, bulk=bulk)
        await fail.wait()
        then(None)
        raise Unavailable("store: database is locked")

    monkeypatch.setattr(store._database, "write", hangs)
    following.trouble = "store: database is locked"
    await following.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    waiting = asyncio.create_task(following.flush())
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert following.trouble is not None
    fail.set()
    with pytest.raises(Unavailable):
        await waiting
    assert following.trouble is not None
    back.set()
    await until(lambda: following.trouble is None and not following._pending)
    assert await rows(store) == 1
    await following.close()


async def test_with_thousands_waiting_allowed_pulls_wait_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_FLUSH_AT", 3)
    writer, store._database._writer = store._database._writer, None
    for n in range(3):
        await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED, who=str(n)))
    with pytest.raises(Unavailable):
        await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED, who="one too many"))
    store._database._writer = writer
    await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED, who="and another"))
    assert await rows(store) == 3
    assert {event.who for event in await store.journal.search(Search())} == {"0", "1", "2", "and another"}


async def test_a_search_that_goes_away_counts_nothing_twice(store: Store) -> None:
    await store.journal.decided(ALLOWED, happened(EventKind.PULL_ALLOWED, ALLOWED))
    for _ in range(3):
        searching = asyncio.create_task(store.journal.search(Search()))
        for _ in range(5):
            await asyncio.sleep(0)
        searching.cancel()
        await asyncio.gather(searching, return_exceptions=True)
    (event,) = await store.journal.search(Search())
    assert "count" not in event.detail


async def test_denials_at_once_share_a_commit_and_none_is_answered_before_it(store: Store) -> None:
    async def denied(n: int) -> None:
        made = decision(f"d{n}", Reason.UNSIGNED)
        await store.journal.decided(made, happened(EventKind.PULL_DENIED, made))
        assert await StoredJournal(store._database).decision(made.id) == made

    pulls = [asyncio.create_task(denied(n)) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pulls[0].cancel()  # its caller hangs up while it writes for all of them
    ends = await asyncio.gather(*pulls, return_exceptions=True)
    assert [end for end in ends[1:] if end is not None] == []
    assert await rows(store) == 20


async def test_positions_only_grow(store: Store) -> None:
    for n in range(5):
        denied = decision(f"d{n % 2}", Reason.UNSIGNED)
        await store.journal.decided(denied, happened(EventKind.PULL_DENIED, denied))
    query = text("SELECT position, decision_id FROM journal ORDER BY position")
    found = await store._database.read(lambda c: [tuple(row) for row in c.execute(query)])
    assert [name for _, name in found] == ["d0", "d1"]


async def test_a_reading_after_the_first_of_an_hour_counts_and_waits_only_while_the_disk_takes_nothing(
    store: Store,
) -> None:
    following = StoredJournal(store._database, flush_after=3600)
    reading = Event(NOON, EventKind.AUDIT_READ, "auditor", reference="journal")
    await following.counted(reading)
    assert await rows(store) == 1
    await following.counted(reading)
    assert following._pending, "its count follows"
    following.trouble = "store: disk full"
    await following.counted(reading)
    assert not following._pending, "what cannot be recorded is not read"
    (event,) = await following.search(Search())
    assert event.detail["count"] == 3
    await following.close()
