"""Books of this process follow the store: after a change of another process, and after one of unknown outcome."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import Connection, select

from proxy.oci.faults import Unavailable
from proxy.store import Store
from proxy.store.keybook import StoredKeyBook
from proxy.store.tables import versions
from proxy.store.versions import Watch, bump
from proxy.trust.keys import KeyState, fingerprint
from tests.worlds.memory import NOON, SoftSigner

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
    watch = Watch(database, {"keybook": book})
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


async def test_bumps_count_up(store: Store) -> None:
    for _ in range(3):
        await store._database.write(lambda connection: bump(connection, "x"))
    assert (await store._database.read(numbers))["x"] == 3
