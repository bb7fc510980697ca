"""Behaviour: tests/contract/test_keybook.py. Here: the ring follows the table, whoever changed it."""

import asyncio

from proxy.keys.store import StoredKeyBook
from proxy.server.store import Store
from proxy.trust.keys import KeyState, fingerprint
from tests.worlds.memory import NOON, SoftSigner

KEY = SoftSigner().create()


async def test_another_process_is_seen_after_a_refresh(store: Store) -> None:
    other = StoredKeyBook(store._database, ())
    await store.keybook.add(KEY)
    assert other.ring().ours == ()
    await other.refresh()
    assert other.ring() == store.keybook.ring()


async def test_a_change_starts_from_the_table_and_not_from_memory(store: Store) -> None:
    other = StoredKeyBook(store._database, ())
    await store.keybook.add(KEY)
    await other.set_state(fingerprint(KEY.spki), KeyState.RETIRED, NOON)
    await store.keybook.add(SoftSigner().create("another"))
    assert [key.state for key in store.keybook.ring().ours] == [KeyState.RETIRED, KeyState.ACTIVE]


async def test_a_caller_who_goes_away_leaves_the_ring_as_the_table_is(store: Store) -> None:
    adding = asyncio.create_task(store.keybook.add(KEY))
    await asyncio.sleep(0)
    adding.cancel()
    await asyncio.gather(adding, return_exceptions=True)
    await store._database.write(lambda _: None)
    assert store.keybook.ring().ours == (KEY,)
