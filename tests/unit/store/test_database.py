"""One commit for everybody who waits, and what happens to each of them."""

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from proxy.journal.rows import revisions
from proxy.oci.faults import Unavailable
from proxy.server.store import Store
from proxy.store.database import Database, translated


def row(n: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(insert(revisions).values(kind="test", revision=str(n), body=""))
        return n

    return work


def count(connection: Connection) -> int:
    query = select(func.count()).select_from(revisions).where(revisions.c.kind == "test")
    return connection.execute(query).scalar_one()


def commits_of(database: Database) -> list[object]:
    commits: list[object] = []
    assert database._writer is not None
    event.listen(database._writer.sync_engine, "commit", commits.append)
    return commits


@pytest.fixture
def database(store: Store) -> Database:
    return store._database


async def test_those_who_wait_together_share_one_commit(database: Database) -> None:
    commits = commits_of(database)
    assert await asyncio.gather(*(database.write(row(n)) for n in range(100))) == list(range(100))
    assert await database.read(count) == 100
    assert len(commits) == 1


async def test_the_failure_of_one_is_not_the_failure_of_all(database: Database) -> None:
    def wrong(connection: Connection) -> None:
        raise ValueError("mine")

    results = await asyncio.gather(
        database.write(row(1)),
        database.write(wrong),
        database.write(row(1)),
        database.write(row(2)),
        return_exceptions=True,
    )
    assert (results[0], results[3]) == (1, 2)
    assert isinstance(results[1], ValueError)
    assert "UNIQUE" in str(results[2])
    assert await database.read(count) == 2


async def test_a_work_that_fails_leaves_nothing_behind(database: Database) -> None:
    def half(connection: Connection) -> None:
        row(1)(connection)
        raise ValueError("after the first half")

    with pytest.raises(ValueError, match="first half"):
        await database.write(half)
    assert await database.read(count) == 0


async def test_a_caller_who_goes_away_does_not_undo_it(database: Database) -> None:
    followed: list[int | None] = []
    caller = asyncio.create_task(database.write(row(1), followed.append))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await database.write(row(2))
    assert await database.read(count) == 2
    assert followed == [1]


async def test_what_follows_a_failure_is_told_that_the_outcome_is_unknown(database: Database) -> None:
    followed: list[int | None] = []
    await database.write(row(1))
    with pytest.raises(Unavailable):
        await database.write(row(1), followed.append)
    assert followed == [None]


async def test_a_reader_who_goes_away_leaves_the_others_their_connections(database: Database) -> None:
    readers = [asyncio.create_task(database.read(count)) for _ in range(20)]
    await asyncio.sleep(0.001)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert await asyncio.gather(*(database.read(count) for _ in range(20))) == [0] * 20


def noting(order: list[str], name: str) -> Callable[[Connection], None]:
    return lambda _connection: order.append(name)


async def test_a_bulk_work_yields_to_what_a_client_waits_for(database: Database) -> None:
    order: list[str] = []
    commits = commits_of(database)
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def first(_connection: Connection) -> None:
        order.append("bulk 0")
        loop.call_soon_threadsafe(begun.set)

    works = [first, *(noting(order, f"bulk {n}") for n in range(1, 40))]
    bulk = [asyncio.create_task(database.write(work, bulk=True)) for work in works]
    await begun.wait()
    await asyncio.gather(*(database.write(noting(order, "client")) for _ in range(3)))
    assert order == [f"bulk {n}" for n in range(16)] + ["client"] * 3, "only what had begun came first"
    await asyncio.gather(*bulk)
    assert order[19:] == [f"bulk {n}" for n in range(16, 40)]
    assert len(commits) == 4


async def test_bulk_works_are_not_put_off_for_ever(database: Database) -> None:
    order: list[str] = []

    def client(_connection: Connection) -> None:
        if len(order) < 500:
            order.append("client")
            loop.call_soon_threadsafe(lambda: writing.append(asyncio.create_task(database.write(client))))

    loop, writing = asyncio.get_running_loop(), [asyncio.create_task(database.write(client))]
    await asyncio.sleep(0)
    await asyncio.gather(*(database.write(noting(order, "bulk"), bulk=True) for _ in range(20)))
    first, last = order.index("bulk"), len(order) - order[::-1].index("bulk")
    assert first <= 34
    assert last < 34 * 2 + 20, "each time a batch of them, then clients again"
    assert order[first : first + 16] == ["bulk"] * 16
    while not all(task.done() for task in writing):
        await asyncio.gather(*writing)


async def test_bulk_works_are_not_put_off_by_a_store_that_takes_seconds(database: Database) -> None:
    order: list[str] = []

    def client(_connection: Connection) -> None:
        time.sleep(0.4)
        order.append("client")
        if "bulk" not in order and len(order) < 20:
            loop.call_soon_threadsafe(lambda: writing.append(asyncio.create_task(database.write(client))))

    loop, writing = asyncio.get_running_loop(), [asyncio.create_task(database.write(client))]
    await asyncio.sleep(0)
    await database.write(noting(order, "bulk"), bulk=True)
    await asyncio.gather(*writing)
    assert 1 <= order.index("bulk") <= 4, "a second of the store's time, and not 32 commits"


async def test_a_bulk_work_that_a_client_has_come_to_wait_for_goes_first(database: Database) -> None:
    order: list[str] = []
    writes = [
        asyncio.create_task(database.write(noting(order, "bulk"), bulk=True)),
        asyncio.create_task(database.write(noting(order, "client"))),
    ]
    await asyncio.sleep(0)
    database.hurry()
    await asyncio.gather(*writes)
    assert order == ["bulk", "client"]


async def test_what_goes_along_waits_for_a_commit_or_makes_one_when_it_is_awaited(database: Database) -> None:
    commits = commits_of(database)
    along = database.along(row(1))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not commits
    await database.write(row(2))
    assert await along == 1
    assert await along == 1
    assert (len(commits), await database.read(count)) == (1, 2)
    assert await database.along(row(3)) == 3
    assert len(commits) == 2
    database.along(row(1))  # fails, and nobody asks
    await database.write(row(4))


async def test_what_is_queued_to_go_along_is_written_when_the_store_closes(store: Store) -> None:
    along = store._database.along(row(1))
    await store.close()
    assert await along == 1


async def test_a_work_by_itself_shares_its_commit_with_nobody_and_leaves_nothing_where_it_raises(
    database: Database,
) -> None:
    def fails(connection: Connection) -> None:
        row(1)(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.at_once(fails)
    assert await database.at_once(row(2)) == 2
    assert await database.read(count) == 1


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await database.read(row(1))


async def test_what_the_database_says_is_said_without_the_values(database: Database) -> None:
    await database.write(row(1))
    with pytest.raises(Unavailable) as failure:
        await database.write(row(1))
    assert failure.value.what == "store: UNIQUE constraint failed: revisions.kind, revisions.revision"


async def test_closing_finishes_what_is_queued(store: Store) -> None:
    writing = [asyncio.create_task(store._database.write(row(n))) for n in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writing) == list(range(5))


async def test_sqlite_promises_what_the_design_asks_of_it(database: Database) -> None:
    def pragmas(connection: Connection) -> tuple[object, ...]:
        return tuple(
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        )

    assert await database.write(pragmas) == ("wal", 2, 5000)


def test_errors_of_the_world_are_translated() -> None:
    for error in (OSError(28, "No space left on device"), TimeoutError(), IntegrityError("INSERT", {}, OSError("x"))):
        with pytest.raises(Unavailable, match=r"^store: .+"), translated():
            raise error
    with pytest.raises(IntegrityError), translated(let=(IntegrityError,)):
        raise IntegrityError("INSERT", {}, OSError("x"))
    with pytest.raises(ValueError, match="ours"), translated():
        raise ValueError("ours")
