from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.oci.reference import digest_of
from proxy.overrides.store import StoredOverrides
from proxy.server.store import Store, open_store
from tests.worlds.memory import FrozenClock
from tests.worlds.orders import denial, exception


async def test_what_was_ordered_stands_again_after_a_restart(tmp_path: Path) -> None:
    clock = FrozenClock()
    url = f"sqlite:///{tmp_path}/store.db"
    store = await open_store(url, clock)
    await store.overrides.deny(denial(digest_of(b"bad")))
    await store.overrides.keep(exception())
    await store.close()
    store = await open_store(url, clock)
    assert store.overrides.in_force().stamp == ("d1", "e1")
    await store.close()


async def test_one_of_the_host_is_not_on_record_before_it_is_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/store.db", FrozenClock())
    mine = exception(offline=True)
    store.overrides.put_offline(mine)
    await store.overrides.deny(denial(digest_of(b"bad")))
    assert store.overrides.orders().exceptions == (mine,)
    store.overrides.put_offline(None)
    assert store.overrides.orders().exceptions == ()
    await store.close()


async def test_what_changes_nothing_takes_back_no_denial_of_another_server(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, database = store.overrides, store._database
    others = StoredOverrides(database, FrozenClock())
    await mine.keep(exception())
    write = database.write

    async def slow(work: Callable[..., Any], then: Callable[[Any], None]) -> Any:
        """Another server's denial is committed, and seen here, before this change of nothing is answered."""
        done = await write(work)
        monkeypatch.setattr(database, "write", write)
        await others.deny(denial(digest_of(b"bad")))
        await mine.refresh()
        then(done)
        return done

    monkeypatch.setattr(database, "write", slow)
    assert not await mine.keep(exception())
    assert mine.in_force().stamp == ("d1", "e1")


async def test_an_exception_from_what_no_column_can_say_is_not_kept(store: Store) -> None:
    with pytest.raises(ValueError, match="only one from signatures"):
        await store.overrides.keep(replace(exception(), suspends=("vulnerabilities",)))
    assert store.overrides.orders().exceptions == ()
    await store.overrides.keep(exception())
    await store.overrides.refresh()
    assert [each.suspends for each in store.overrides.in_force().exceptions] == [("signatures",)]
