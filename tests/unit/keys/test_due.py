from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.journal.event import Event, EventKind
from proxy.keys import lifecycle
from proxy.keys.due import run_due
from proxy.oci.faults import Unavailable
from proxy.registry.cache import Cache
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.trust.schedule import Handover, KeyPlan
from tests.worlds.conversation import World, world
from tests.worlds.crash import Killed, StepBudget, dying, restarted
from tests.worlds.images import image

BY = ("alice", "socket", "it is Tuesday")
DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
P, A, T, R, C, _ = KeyState


async def scene(terms: Handover | None = None, every: timedelta | None = MONTH) -> World:
    w = await world()
    plan = KeyPlan(("soft",), terms or Handover(), every, WEEK)
    w.ports = replace(w.ports, plans={"release": plan})
    return w


def states(w: World) -> list[KeyState]:
    return [key.state for key in w.store.keybook.ring().ours]


def told(w: World) -> list[Event]:
    return [e for e in w.store.journal.events if e.kind in {EventKind.KEY_CREATED, EventKind.KEY_STATE}]


async def passes(w: World, span: timedelta) -> int:
    """That much time passes, and then somebody looks."""
    w.store.clock.advance(span.total_seconds())
    return await run_due(w.ports)


async def test_a_key_is_rotated_on_its_day_and_the_next_one_a_whole_period_later() -> None:
    w = await scene(Handover(retire_after=WEEK))
    assert await passes(w, MONTH - timedelta(seconds=1)) == 0
    assert await passes(w, timedelta(seconds=1)) == 2, "made, and activated"
    assert states(w) == [T, A]
    assert await run_due(w.ports) == 0
    assert await passes(w, WEEK) == 1
    assert states(w) == [R, A]
    assert await passes(w, MONTH - WEEK) == 2
    assert states(w) == [R, T, A]


async def test_the_journal_has_it_as_done_by_the_schedule_with_the_reason() -> None:
    w = await scene(Handover(retire_after=WEEK))
    await passes(w, MONTH)
    await passes(w, WEEK)
    assert {(e.who, e.how) for e in told(w)} == {("countersign", "schedule")}
    reasons = [str(e.detail["reason"]) for e in told(w)]
    assert reasons[0] == "keys.release.rotate_every is 30d"
    assert reasons[1].startswith("it was scheduled to begin at 2026-02-01")
    assert reasons[-1].startswith("it was scheduled to be retired at 2026-02-08")


async def test_with_publish_first_the_key_is_made_early_enough_to_begin_on_the_day() -> None:
    w = await scene(Handover(publish_first=WEEK, dual_sign=DAY))
    first = w.store.keybook.ring().ours[0].since
    assert await passes(w, MONTH - WEEK) == 1
    assert states(w) == [A, P]
    assert w.store.keybook.ring().ours[1].activate_at == first + MONTH
    assert await passes(w, WEEK - timedelta(seconds=1)) == 0
    assert await passes(w, timedelta(seconds=1)) == 1
    old, _ = w.store.keybook.ring().ours
    assert (old.state, old.signs_until) == (T, first + MONTH + DAY)


async def test_a_server_that_was_off_on_the_day_still_shows_the_key_first() -> None:
    w = await scene(Handover(publish_first=WEEK))
    assert await passes(w, MONTH + MONTH) == 1
    assert w.store.keybook.ring().ours[1].activate_at == w.store.clock.now() + WEEK


async def test_what_an_operator_planned_happens_by_itself_too() -> None:
    w = await scene(every=None)
    terms = Handover(publish_first=WEEK, dual_sign=DAY, retire_after=MONTH)
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, terms=terms)
    assert await passes(w, WEEK) == 1
    assert states(w) == [T, A]
    assert w.store.keybook.ring().active("release") == replace(
        done.new, state=A, since=w.store.clock.now(), activate_at=None, signs_until=None, retire_after=None
    )
    assert await passes(w, MONTH) == 1
    assert states(w) == [R, A]


async def test_a_clock_that_goes_back_undoes_and_repeats_nothing() -> None:
    w = await scene(Handover(retire_after=WEEK))
    await passes(w, MONTH)
    await passes(w, WEEK)
    events = len(told(w))
    for back in (MONTH, MONTH, -MONTH, -MONTH):
        assert await passes(w, -back) == 0
        assert states(w) == [R, A]
    assert len(told(w)) == events
    await w.push(image("later"), "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200


async def test_a_prepared_key_without_a_day_is_not_taken_by_the_schedule() -> None:
    w = await scene()
    await lifecycle.prepare("release", Actor(*BY), w.ports)
    assert await passes(w, MONTH) == 0
    assert states(w) == [A, P]


async def test_no_profile_is_left_without_a_key_that_signs() -> None:
    w = await scene(every=None)
    done = await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(retire_after=WEEK))
    await lifecycle.compromise(fingerprint(done.new.spki), Actor(*BY), w.ports)
    assert await passes(w, MONTH) == 0
    assert states(w) == [T, C]
    await lifecycle.rotate("release", Actor(*BY), w.ports)
    assert await run_due(w.ports) == 1
    assert states(w) == [R, C, A]


async def test_what_fails_is_tried_again_and_holds_up_nothing_else() -> None:
    w = await scene(every=None)
    await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(retire_after=WEEK))
    await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(publish_first=WEEK))
    w.signer.down = "token soft is away"
    with pytest.raises(Unavailable, match=r"release: activate of key .*: token soft is away"):
        await passes(w, WEEK)
    assert states(w) == [R, A, P]
    w.signer.down = None
    assert await run_due(w.ports) == 1
    assert states(w) == [R, T, A]


async def test_two_servers_at_once_make_one_rotation() -> None:
    """Even without the lease: the second one's key comes after a key that is no longer active."""
    w = await scene()
    w.store.clock.advance(MONTH.total_seconds())
    other = replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic))
    slow = Slow(w)
    other = replace(other, signer=slow)
    with pytest.raises(Unavailable, match="somebody else changed it meanwhile"):
        await run_due(other)
    assert states(w) == [T, A]
    assert await run_due(other) == 0


class Slow:
    """A signer that another server overtakes whenever it makes a key."""

    def __init__(self, w: World) -> None:
        self._w = w

    def __getattr__(self, name: str) -> Any:
        return getattr(self._w.signer, name)

    async def create_key(self, profile: str, label: str, token: str | None = None) -> BookKey:
        new = await self._w.signer.create_key(profile, label, token)
        await run_due(self._w.ports)
        return new


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("terms", [Handover(), Handover(publish_first=WEEK, dual_sign=DAY)], ids=["at once", "overlap"])
async def test_killed_at_any_step_the_next_look_goes_on_and_one_rotation_is_made(terms: Handover, after: bool) -> None:
    async def begun() -> World:
        w = await scene(terms)
        w.store.clock.advance((MONTH - (terms.publish_first or timedelta())).total_seconds())
        return w

    async def go(w: World) -> None:
        await run_due(w.ports)
        w.store.clock.advance((terms.publish_first or timedelta()).total_seconds())
        await run_due(w.ports)

    budget = StepBudget()
    await go(dying(await begun(), budget))
    assert budget.steps >= 4
    for left in range(budget.steps):
        w = await begun()
        with suppress(Killed):
            await go(dying(w, StepBudget(left, after)))
        w = restarted(w)
        assert states(w).count(A) == 1
        await w.push(image("between"), "team/app", "between")
        await go(w)
        assert states(w) == [T, A]
        assert (await w.pull("team/app", "between")).status == 200
        rows = [(e.detail["key"], e.detail["to"]) for e in told(w)]
        assert len(rows) == len(set(rows)), "one row for each change"
        assert {fingerprint(k.spki) for k in w.store.keybook.ring().ours[1:]} <= {key for key, _ in rows}
