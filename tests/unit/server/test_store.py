import os
from pathlib import Path

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.faults import ConfigError, Unavailable
from proxy.server.store import Store, open_store
from proxy.trust.keys import TrustedKey
from proxy.trust.reason import Reason
from tests.worlds.memory import NOON, FrozenClock, SoftSigner
from tests.worlds.stored import APP, decision, digest, happened, manifest, signature_key, signed

KEY = SoftSigner().create()
PARTNER = TrustedKey("partner", SoftSigner().create().spki)


async def fill(store: Store) -> None:
    await store.ledger.put(signed())
    await store.facts.learn(manifest("image", "layer"))
    await store.keybook.add(KEY)
    denied, allowed = decision("d", Reason.UNSIGNED), decision("a")
    await store.journal.decided(denied, happened(EventKind.PULL_DENIED, denied))
    await store.journal.decided(allowed, happened(EventKind.PULL_ALLOWED, allowed))
    await store.journal.record(Event(NOON, EventKind.STARTED))


async def holds(store: Store) -> None:
    assert await store.ledger.find(signature_key()) == signed()
    assert (await store.facts.listing(APP, digest("layer"), 8)).digests == (digest("image"),)
    assert store.keybook.ring().ours == (KEY,)
    assert await store.journal.decision("d") == decision("d", Reason.UNSIGNED)
    assert await store.journal.decision("a") == decision("a")
    kinds = [event.kind for event in await store.journal.search(Search())]
    assert sorted(kinds) == [EventKind.PULL_ALLOWED, EventKind.PULL_DENIED, EventKind.STARTED]


async def test_everything_is_there_after_a_restart(url: str) -> None:
    store = await open_store(url, FrozenClock())
    await fill(store)
    await store.close()
    again = await open_store(url, FrozenClock())
    await holds(again)
    await again.close()


async def test_the_revision_is_the_same_after_a_restart(url: str) -> None:
    store = await open_store(url, FrozenClock(), trusted=(PARTNER,))
    await store.keybook.add(KEY)
    revision = store.keybook.ring().revision
    await store.close()
    again = await open_store(url, FrozenClock(), trusted=(PARTNER,), read_only=True)
    assert again.keybook.ring().revision == revision
    await again.close()


async def test_commands_read_while_a_server_writes(store: Store, url: str) -> None:
    await fill(store)
    await store.journal.flush()
    reading = await open_store(url, FrozenClock(), read_only=True)
    await holds(reading)
    await store.journal.record(Event(NOON, EventKind.STOPPED))
    assert len(await reading.journal.search(Search())) == 4
    with pytest.raises(Unavailable, match="opened to read only"):
        await reading.ledger.put(signed(signature_key("another")))
    await reading.close()


async def test_a_second_server_is_refused(store: Store, url: str) -> None:
    with pytest.raises(ConfigError, match="already writing"):
        await open_store(url, FrozenClock())
    await store.probe()


async def test_a_store_that_could_not_be_opened_is_not_locked(url: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        await open_store(url, FrozenClock())
    (tmp_path / "store.db").unlink()
    await (await open_store(url, FrozenClock())).close()


async def test_there_is_nothing_to_read_before_the_first_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="countersign serve"):
        await open_store(url, FrozenClock(), read_only=True)
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # nothing waits here
