"""The disk is full, or turns read-only, or somebody holds the file: said as such, and nothing acknowledged is lost."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.faults import Unavailable
from proxy.server.doctor.checkup import check_room
from proxy.server.store import Store, open_store
from proxy.store import engines
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.stored import signature_key, signed

LONG = "x" * 4000


async def record(store: Store, n: int) -> None:
    await store.journal.record(Event(NOON, EventKind.SIGNED, request_id=str(n), detail={"long": LONG}))


async def fill(store: Store) -> tuple[int, str]:
    """Record until it fails: how many were acknowledged, and what was said instead of the next."""
    for n in range(1000):
        try:
            await record(store, n)
        except Unavailable as error:
            return n, error.what
    raise AssertionError("this disk is not small enough")


async def recorded(store: Store) -> set[int]:
    return {int(event.request_id) for event in await store.journal.search(Search(limit=100_000))}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a few hundred rows."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=800k", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.real
async def test_a_full_disk_loses_nothing_acknowledged_and_heals_by_itself(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 200_000)
    store = await open_store(f"sqlite:///{small_disk}/store.db", FrozenClock())
    acknowledged, said = await fill(store)
    assert re.match(r"store: .*(full|I/O error)", said)
    assert await recorded(store) == set(range(acknowledged))
    with pytest.raises(Unavailable):
        await record(store, acknowledged)
    filler.unlink()
    await record(store, acknowledged)
    assert await recorded(store) == set(range(acknowledged + 1))
    await store.close()
    again = await open_store(f"sqlite:///{small_disk}/store.db", FrozenClock(), read_only=True)
    assert await recorded(again) == set(range(acknowledged + 1))
    await again.close()


async def test_when_the_database_may_not_grow(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/store.db", FrozenClock())
    await store._database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 60").close())
    acknowledged, said = await fill(store)
    assert said == "store: database or disk is full"
    assert await recorded(store) == set(range(acknowledged))
    await store.close()


async def test_a_file_that_turned_read_only_still_answers(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/store.db", FrozenClock())
    await store.ledger.put(signed())
    await store._database.write(lambda c: c.exec_driver_sql("PRAGMA query_only = 1").close())
    with pytest.raises(Unavailable, match="store: attempt to write a readonly database"):
        await store.ledger.put(signed(signature_key("another")))
    assert await store.ledger.find(signature_key()) == signed()
    await store.close()


async def test_somebody_else_holds_the_file_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_BUSY_S", 0.1)
    store = await open_store(f"sqlite:///{tmp_path}/store.db", FrozenClock())
    intruder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="store: database is locked"):
        await store.ledger.put(signed())
    assert await store.ledger.find(signature_key()) is None
    intruder.execute("ROLLBACK")
    intruder.close()
    assert await store.ledger.put(signed()) == signed()
    await store.close()


@pytest.mark.real
def test_doctor_says_that_the_disk_is_full_or_may_not_be_written(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/store.db"
    found = check_room(url)
    assert (found.state, "MiB free in" in found.detail) == ("wrong", True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    found = check_room(url)
    assert (found.state, "read-only" in found.detail) == ("wrong", True)
    assert found.fix.startswith("findmnt")


def test_doctor_says_how_much_room_the_record_has(tmp_path: Path) -> None:
    assert check_room(f"sqlite:///{tmp_path}/store.db").state in ("ok", "warning")
    assert check_room("postgresql://db/x").state == "skipped"
    gone = check_room(f"sqlite:///{tmp_path}/gone/store.db")
    assert (gone.state, "No such file" in gone.detail) == ("wrong", True)
