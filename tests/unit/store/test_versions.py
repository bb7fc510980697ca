"""Books of this process follow the store: after a change of another process, and after one of unknown outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from proxy.keys.store import StoredKeyBook
from proxy.oci.faults import Unavailable
from proxy.server.store import Store
from proxy.store.database import Work
from proxy.store.versions import Watch, _numbers, bump, versions
from proxy.trust.keys import KeyState, fingerprint
from tests.worlds.memory import NOON, FrozenClock, SoftSigner

KEY = SoftSigner().create()


class Counted(StoredKeyBook):
    """A key book that counts how often it was read again."""

    reads = 0

    async def refresh(self) -> None:
        self.reads += 1
        await super().refresh()


def numbers(connection: Connection) -> dict[str, int]:
    return {row.name: row.number for row in connection.execute(select(versions))}


async def test_a_change_elsewhere_is_seen_at_the_next_look_and_read_once(store: Store) -> None:
    database = store._database
    database.sole = False  # as on PostgreSQL, where others write too
    book = Counted(database, ())
    watch = Watch(database, {"keybook": book}, FrozenClock().monotonic)
    await watch.look()
    before = book.reads
    await store.keybook.add(KEY)
    assert book.ring().ours == ()
    await watch.look()
    assert book.ring() == store.keybook.ring()
    await watch.look()
    assert book.reads == before + 1
    await store.keybook.set_state(fingerprint(KEY.spki), KeyState.COMPROMISED, NOON)
    await watch.look()
    assert book.ring().ours[0].state is KeyState.COMPROMISED


async def test_what_changes_nothing_is_no_new_version(store: Store) -> None:
    await store.keybook.add(KEY)
    before = await store._database.read(numbers)
    await store.keybook.add(KEY)
    assert await store._database.read(numbers) == before


async def test_a_change_of_unknown_outcome_is_settled_at_the_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.keybook.add(KEY)
    write = store._database.write

    async def lost(work: object, then: object = None) -> object:
        """It is committed, and its answer never comes."""
        await write(work)  # type: ignore[arg-type]
        then(None)  # type: ignore[operator]
        raise Unavailable("store: the connection broke")

    monkeypatch.setattr(store._database, "write", lost)
    with suppress(Unavailable):
        await store.keybook.set_state(fingerprint(KEY.spki), KeyState.COMPROMISED, NOON)
    assert store.keybook.ring().ours[0].state is KeyState.ACTIVE
    assert store.keybook.unsure
    await store.watch.look()
    assert store.keybook.ring().ours[0].state is KeyState.COMPROMISED
    assert not store.keybook.unsure


class Silent:
    """A book that cannot be read."""

    unsure = False

    async def refresh(self) -> None:
        raise Unavailable("store: no answer")


async def test_a_book_that_cannot_be_read_delays_no_other_and_none_counts_as_read(store: Store) -> None:
    database, clock = store._database, FrozenClock()
    database.sole = False
    book = Counted(database, ())
    watch = Watch(database, {"interventions": Silent(), "keybook": book}, clock.monotonic)
    await database.write(lambda connection: bump(connection, "interventions"))
    await store.keybook.add(KEY)
    clock.advance(4)
    with pytest.raises(Unavailable):
        await watch.look()
    assert book.ring() == store.keybook.ring()
    assert watch.age() == 4
    assert watch.trouble == "store: no answer"


async def test_books_are_as_old_as_the_beginning_of_the_last_look_that_read_all(store: Store) -> None:
    database, clock = store._database, FrozenClock()
    database.sole = False
    book = Counted(database, ())
    watch = Watch(database, {"keybook": book}, clock.monotonic)
    clock.advance(7)
    assert watch.age() == 7
    refresh = book.refresh

    async def slow() -> None:
        clock.advance(2)
        await refresh()

    book.refresh = slow  # type: ignore[method-assign]
    await store.keybook.add(KEY)
    await watch.look()
    assert watch.age() == 2
    assert watch.trouble is None


async def test_what_is_written_by_nobody_else_is_never_old(store: Store) -> None:
    clock = FrozenClock()
    watch = Watch(store._database, {}, clock.monotonic)
    clock.advance(1_000_000)
    assert watch.age() == 0


async def test_a_look_does_not_wait_for_what_follows_it(store: Store) -> None:
    """Policies take long to read; denials and keys are looked at meanwhile, again and again."""
    database, clock = store._database, FrozenClock()
    database.sole = False
    book, begun, hold = Counted(database, ()), asyncio.Event(), asyncio.Event()

    class Slow:
        unsure = False

        async def refresh(self) -> None:
            begun.set()
            await hold.wait()

    watch = Watch(database, {"keybook": book}, clock.monotonic)
    await database.write(lambda connection: bump(connection, "policy"))
    await watch.look()
    stuck = asyncio.create_task(_call(watch.follower("policy", Slow())))
    await begun.wait()
    await store.keybook.add(KEY)
    await watch.look()
    assert book.ring() == store.keybook.ring()
    assert watch.age() == 0
    hold.set()
    await stuck


async def _call(look: Callable[[], Awaitable[None]]) -> None:
    await look()


async def test_a_change_of_ours_in_the_middle_of_reading_leaves_nothing_unread(store: Store) -> None:
    """What was read is dropped then, and what is here may lack what was there: it is read once more."""
    database = store._database
    database.sole = False
    book = StoredKeyBook(database, ())
    watch = Watch(database, {"keybook": book}, FrozenClock().monotonic)
    read, mine = database.read, replace(KEY, key_id="2", spki=SoftSigner().create().spki, profile="other")

    async def meanwhile(work: Work[object]) -> object:
        found = await read(work)
        if work is not numbers_read:
            database.read = read  # type: ignore[method-assign]
            await book.add(mine)
        return found

    await store.keybook.add(KEY)
    numbers_read = _numbers
    database.read = meanwhile  # type: ignore[method-assign, assignment]
    await watch.look()
    assert book.unsure
    await watch.look()
    assert {key.profile for key in book.ring().ours} == {KEY.profile, "other"}
    assert not book.unsure


async def test_bumps_count_up(store: Store) -> None:
    for _ in range(3):
        await store._database.write(lambda connection: bump(connection, "x"))
    assert (await store._database.read(numbers))["x"] == 3
