"""PostgreSQL goes away and comes back: said while it is away, and everything acknowledged is there afterwards."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.faults import Unavailable
from proxy.server.store import Store, open_store
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.postgres import MISSING, Cluster, postgres_cluster, postgres_programs
from tests.worlds.stored import decision, happened, signature_key, signed

pytestmark = [pytest.mark.real, pytest.mark.skipif(postgres_programs() is None, reason=MISSING)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as running:
        yield running


@pytest.fixture
async def store(cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    opened = await open_store(cluster.create(request.node.name), FrozenClock())
    yield opened
    await opened.close()


async def recorded(store: Store) -> set[str]:
    return {event.request_id for event in await store.journal.search(Search(limit=100_000))}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_a_restart_under_load_loses_nothing_acknowledged(
    store: Store, cluster: Cluster, how: signal.Signals
) -> None:
    acknowledged: set[str] = set()

    enough = asyncio.Event()

    async def write(writer: int) -> None:
        for n in range(10_000):
            await store.journal.record(Event(NOON, EventKind.SIGNED, request_id=f"{writer}-{n}"))
            acknowledged.add(f"{writer}-{n}")
            if len(acknowledged) >= 40:
                enough.set()

    writers = [asyncio.create_task(write(n)) for n in range(4)]
    await enough.wait()
    await asyncio.to_thread(cluster.stop, how)
    ends = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(end, Unavailable) for end in ends)
    with pytest.raises(Unavailable, match="store: "):
        await store.ledger.find(signature_key())
    with pytest.raises(Unavailable, match="store: "):
        await store.ledger.put(signed())
    await asyncio.to_thread(cluster.start)
    assert await store.ledger.put(signed()) == signed()
    assert acknowledged <= await recorded(store)


async def test_allowed_pulls_wait_for_its_return(store: Store, cluster: Cluster) -> None:
    allowed = decision("a")
    await asyncio.to_thread(cluster.stop)
    await store.journal.decided(allowed, happened(EventKind.PULL_ALLOWED, allowed))
    with pytest.raises(Unavailable):
        await store.journal.flush()
    await asyncio.to_thread(cluster.start)
    assert len(await recorded(store)) == 1
    assert await store.journal.decision("a") == allowed


async def test_two_replicas_open_an_empty_database_at_once(cluster: Cluster) -> None:
    url = cluster.create("replicas")
    stores = await asyncio.gather(*(open_store(url, FrozenClock()) for _ in range(3)))
    stands = await asyncio.gather(*(s.ledger.put(signed(signature=bytes([n]))) for n, s in enumerate(stores)))
    assert len({entry.signature for entry in stands}) == 1
    leases = await asyncio.gather(*(s.leases.acquire("sweep", str(n), 30) for n, s in enumerate(stores)))
    assert len([lease for lease in leases if lease is not None]) == 1
    for opened in stores:
        await opened.close()


async def test_a_server_that_is_not_there_is_said_without_the_password(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    nowhere = tmp_path_factory.mktemp("nowhere")
    with pytest.raises(Unavailable, match="store: ") as refusal:
        await open_store(f"postgresql://me:secret@/db?host={nowhere}", FrozenClock())
    assert "secret" not in refusal.value.what
