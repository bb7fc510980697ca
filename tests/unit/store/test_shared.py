"""Behaviour: tests/contract/test_lease.py. Here: a lease outlives the process that took it."""

from proxy.server.store import open_store
from tests.worlds.memory import FrozenClock


async def test_a_restart_does_not_free_what_another_holds(url: str) -> None:
    clock = FrozenClock()
    store = await open_store(url, clock)
    first = await store.leases.acquire("sweep", "a", 30)
    assert first is not None
    await store.close()
    again = await open_store(url, clock)
    assert await again.leases.acquire("sweep", "b", 30) is None
    clock.advance(30)
    second = await again.leases.acquire("sweep", "b", 30)
    assert second is not None
    assert second.fence == first.fence + 1
    await again.close()
