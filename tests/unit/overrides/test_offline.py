import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Unavailable
from proxy.overrides.exceptions import close_ended
from proxy.overrides.offline import HostException
from proxy.overrides.offline_file import HOW, file_of, written
from proxy.server.store import Store, open_store
from proxy.trust.exception import PolicyException
from tests.worlds.conversation import World, world
from tests.worlds.memory import FrozenClock
from tests.worlds.orders import exception

NOW = datetime.now(UTC)
MINE = replace(exception(name="0123456789ab", opened=NOW, hours=1, offline=True), how=HOW)


class Here:
    """A proxy with a store of its own, and a directory with the file."""

    def __init__(self, w: World, store: Store, clock: FrozenClock, directory: Path) -> None:
        self.store, self.clock, self.path = store, clock, directory / file_of(MINE.id)
        w.ports = replace(w.ports, overrides=store.overrides, journal=store.journal, clock=clock)
        self.ports = w.ports
        log = structlog.testing.CapturingLogger()
        self.watch = HostException(directory, lambda: w.ports, store.overrides, cast("Any", log))

    def write(self, exception: PolicyException = MINE, mode: int = 0o640) -> None:
        self.path.write_bytes(written(exception))
        self.path.chmod(mode)

    async def kinds(self) -> list[EventKind]:
        from proxy.journal.port import Search

        return [event.kind for event in reversed(await self.store.journal.search(Search()))]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    clock = FrozenClock(NOW + timedelta(seconds=1))
    store = await open_store(f"sqlite:///{tmp_path}/store.db", clock)
    yield Here(await world(), store, clock, tmp_path)
    await store.close()


async def test_it_is_in_force_and_on_record_and_goes_when_it_is_over(here: Here) -> None:
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()
    here.write()
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == (MINE,)
    assert here.store.overrides.recorded().exceptions == (MINE,)
    here.clock.advance(3600)
    await close_ended(here.ports)
    await here.watch.look()
    assert not here.path.exists()
    assert await here.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]


async def test_it_is_in_force_while_the_store_is_away_and_on_record_afterwards(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("store: gone")

    here.write()
    with monkeypatch.context() as m:
        m.setattr(here.store.journal, "record", away)
        with pytest.raises(Unavailable):
            await here.watch.look()
        assert here.store.overrides.in_force().exceptions == (MINE,)
        await close_ended(here.ports)
        here.clock.advance(3600)
        await close_ended(here.ports)
        assert here.store.overrides.in_force().exceptions == ()
        with pytest.raises(Unavailable):
            await here.watch.look()
        assert here.path.exists(), "it stays until it is on record"
    await here.watch.look()
    await close_ended(here.ports)
    await here.watch.look()
    assert not here.path.exists()
    assert await here.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]


async def test_taken_away_it_is_over_at_once(here: Here) -> None:
    here.write()
    await here.watch.look()
    here.path.unlink()
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()
    assert await here.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]
    await here.watch.look()
    assert len(await here.kinds()) == 2


async def test_ended_on_the_host_before_anything_was_on_record_both_are_on_record(here: Here) -> None:
    here.write(replace(MINE, until=NOW + timedelta(milliseconds=1)))
    here.clock.advance(60)
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()
    await close_ended(here.ports)
    await here.watch.look()
    assert not here.path.exists()
    assert await here.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]


async def test_ended_on_the_host_it_is_over_and_on_record(here: Here) -> None:
    here.write()
    await here.watch.look()
    here.write(replace(MINE, until=NOW))
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()
    await here.watch.look()
    assert not here.path.exists()
    assert await here.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]


async def test_ended_while_the_server_was_down_it_is_over_at_its_first_look(here: Here, tmp_path: Path) -> None:
    here.write()
    await here.watch.look()
    here.write(replace(MINE, until=NOW))
    log = cast("Any", structlog.testing.CapturingLogger())
    started = HostException(tmp_path, lambda: here.ports, here.store.overrides, log)
    await started.look()
    assert here.store.overrides.in_force().exceptions == ()
    assert await here.kinds() == [EventKind.EXCEPTION_OPENED, EventKind.EXCEPTION_CLOSED]


async def test_one_is_in_force_and_the_one_before_is_put_on_record_too(here: Here) -> None:
    here.write(replace(MINE, until=NOW))
    other = replace(MINE, id="ba9876543210", repositories="team/other")
    (here.path.parent / file_of(other.id)).write_bytes(written(other))
    (here.path.parent / file_of(other.id)).chmod(0o644)
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == (other,)
    assert {e.id for e in here.store.overrides.recorded().exceptions} == {MINE.id, other.id}


async def test_a_file_under_another_name_decides_nothing(here: Here) -> None:
    here.write()
    here.path.rename(here.path.with_name("breakglass-000000000000.json"))
    with pytest.raises(Corrupt, match="it is about"):
        await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()


async def test_closed_by_the_api_it_is_over_and_goes(here: Here) -> None:
    here.write()
    await here.watch.look()
    await here.store.overrides.keep(replace(MINE, closed=here.clock.now(), closed_by="ann"))
    assert here.store.overrides.in_force().exceptions == ()
    await here.watch.look()
    assert not here.path.exists()


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
async def test_a_file_that_others_may_write_decides_nothing(here: Here, mode: int) -> None:
    here.write(mode=mode)
    with pytest.raises(Corrupt, match="others may write it"):
        await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_a_file_of_somebody_else_decides_nothing(here: Here) -> None:
    here.write()
    os.chown(here.path, 65534, 65534)
    with pytest.raises(Corrupt, match="belongs to user 65534"):
        await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()


async def test_a_file_that_turns_bad_ends_what_it_said(here: Here) -> None:
    here.write()
    await here.watch.look()
    here.path.chmod(0o666)
    with pytest.raises(Corrupt):
        await here.watch.look()
    await here.store.overrides.keep(replace(MINE, closed=here.clock.now()))
    assert here.store.overrides.in_force().exceptions == ()


async def test_a_link_a_pipe_and_a_long_file_decide_nothing(here: Here, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(written(MINE))
    here.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt, match="not honoured"):
        await here.watch.look()
    here.path.unlink()
    os.mkfifo(here.path, 0o600)
    with pytest.raises(Corrupt, match="no regular file"):
        await here.watch.look()
    here.path.unlink()
    here.path.write_bytes(written(MINE) + b" " * 5000)
    here.path.chmod(0o600)
    with pytest.raises(Corrupt, match="more than 4096 bytes"):
        await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()


async def test_an_old_file_opens_nothing(here: Here) -> None:
    here.write(replace(MINE, opened=NOW - timedelta(hours=3), until=NOW + timedelta(hours=3)))
    await here.watch.look()
    assert here.store.overrides.in_force().exceptions == ()
