from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.keys import lifecycle
from proxy.keys.schedule_runner import LEASE, PAUSE_S, ScheduleRunner
from proxy.oci.faults import Unavailable
from proxy.registry.cache import Cache
from proxy.registry.ports_in_use import Ports
from proxy.store.shared import HELD_S
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState
from proxy.trust.schedule import Handover, KeyPlan
from proxy.web.logs import open_log
from tests.worlds.conversation import World, world

MONTH, WEEK = timedelta(days=30), timedelta(days=7)
LATER = MONTH.total_seconds()


async def scene(terms: Handover | None = None) -> World:
    w = await world()
    w.ports = replace(w.ports, plans={"release": KeyPlan(("soft",), terms or Handover(), MONTH, WEEK)})
    return w


async def nothing_new() -> None:
    """A key book that nobody else changes."""


def looking(w: World, ports: Ports | None = None, log: io.StringIO | None = None) -> ScheduleRunner:
    now = ports or w.ports
    return ScheduleRunner(lambda: now, w.store.leases, nothing_new, open_log(log or io.StringIO(), as_json=True))


def states(w: World) -> list[KeyState]:
    return [key.state for key in w.store.keybook.ring().ours]


async def test_before_it_is_due_nothing_is_asked_of_the_store() -> None:
    w = await scene()
    await looking(w).look()
    assert states(w) == [KeyState.ACTIVE]
    assert not w.store.leases._rows


async def test_of_several_servers_one_does_it() -> None:
    w = await scene()
    w.store.clock.advance(LATER)
    servers = [looking(w, replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic))) for _ in range(4)]
    await asyncio.gather(*(server.look() for server in servers))
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]
    assert w.store.journal.kinds().count(EventKind.KEY_CREATED) == 1
    assert not any(server.failing for server in servers)


async def test_a_server_that_died_at_it_is_followed_by_another() -> None:
    w = await scene()
    w.store.clock.advance(LATER)
    assert await w.store.leases.acquire(LEASE, "the dead", HELD_S)
    other = looking(w)
    await other.look()
    assert states(w) == [KeyState.ACTIVE]
    w.store.clock.advance(HELD_S)
    await other.look()
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]


async def test_no_other_begins_while_a_slow_token_makes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.store.shared.RENEW_S", 0)
    w = await scene()
    w.store.clock.advance(LATER)
    made, create = asyncio.Event(), w.signer.create_key

    async def slow(*given: Any) -> BookKey:
        await made.wait()
        return await create(*given)

    monkeypatch.setattr(w.signer, "create_key", slow)
    first = asyncio.create_task(looking(w).look())
    other = looking(w, replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic)))
    for _ in range(6):
        for _ in range(10):
            await asyncio.sleep(0)
        w.store.clock.advance(HELD_S / 2)
        assert await w.store.leases.acquire(LEASE, "another", HELD_S) is None
        await other.look()
    made.set()
    await first
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.wait_for(other.look(), 1)
    assert await w.store.leases.acquire(LEASE, "another", HELD_S)


async def test_what_fails_is_a_problem_and_is_tried_again_less_and_less_often() -> None:
    w = await scene()
    w.store.clock.advance(LATER)
    w.signer.down, log = "token soft is away", io.StringIO()
    mine = looking(w, log=log)
    attempts = 0
    for _ in range(40):
        before = mine._not_before
        await mine.look()
        attempts += mine._not_before != before
        w.store.clock.advance(PAUSE_S / 2)
    assert 3 <= attempts <= 6
    assert mine.failing is not None
    assert mine.failing.since == w.store.clock.now() - 40 * timedelta(seconds=PAUSE_S / 2)
    assert "token soft is away" in mine.failing.why
    assert "a scheduled change of keys failed" in log.getvalue()
    w.signer.down = None
    w.store.clock.advance(600)
    await mine.look()
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]
    assert "failing" not in [name for name, value in vars(mine).items() if value is not None]


async def test_what_is_set_to_happen_is_announced_in_time_and_once_in_the_log() -> None:
    w = await scene(Handover(retire_after=WEEK))
    log = io.StringIO()
    mine = looking(w, log=log)
    due_at = w.store.keybook.ring().ours[0].since + MONTH
    assert mine.next_at() == due_at.timestamp()
    assert mine.shown() == []
    w.store.clock.advance((MONTH - WEEK).total_seconds())
    for _ in range(3):
        await mine.look()
    (told,) = mine.shown()
    assert (told["what"], told["at"], told["profile"]) == ("rotate", due_at.isoformat(), "release")
    assert log.getvalue().count("a change is scheduled") == 1
    w.store.clock.advance(WEEK.total_seconds())
    await mine.look()
    assert [told["what"] for told in mine.shown()] == ["retire"]


async def test_what_waits_for_somebody_says_so_and_what_is_over_is_not_announced() -> None:
    w = await scene()
    await lifecycle.prepare("release", Actor("alice", "socket", "first"), w.ports)
    w.store.clock.advance(LATER)
    mine = looking(w)
    await mine.look()
    (told,) = mine.shown()
    assert "it waits, because key" in told["says"]
    w = await scene(Handover(dual_sign=WEEK))
    await lifecycle.rotate("release", Actor("alice", "socket", "now"), w.ports, terms=Handover(dual_sign=WEEK))
    mine = looking(w)
    assert [told["what"] for told in mine.shown()] == ["stops signing"]
    w.store.clock.advance(WEEK.total_seconds())
    assert mine.shown() == []


async def test_where_nothing_is_set_the_metric_says_none() -> None:
    w = await world()
    assert looking(w).next_at() == 0


async def test_a_store_that_is_away_is_said_by_whoever_called() -> None:
    w = await scene()
    w.store.clock.advance(LATER)

    async def away() -> None:
        raise Unavailable("the database does not answer")

    mine = ScheduleRunner(lambda: w.ports, w.store.leases, away, open_log(io.StringIO(), as_json=True))
    await mine.look()
    assert mine.failing is not None
    assert states(w) == [KeyState.ACTIVE]
