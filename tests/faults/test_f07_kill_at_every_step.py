"""Fault 7: the process dies at every single step of a change to a key, before the step or after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from proxy.journal.event import EventKind
from proxy.keys import lifecycle
from proxy.oci.faults import Fault
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.trust.schedule import Handover
from tests.worlds.conversation import World, world
from tests.worlds.crash import Killed, StepBudget, dying, restarted
from tests.worlds.images import image
from tests.worlds.memory import NOON

DAY = timedelta(days=1)
BY = ("alice", "socket", "because")
Change = Callable[[World, BookKey], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "rotate": lambda w, _: lifecycle.rotate("release", Actor(*BY), w.ports),
    "dual-sign": lambda w, _: lifecycle.rotate(
        "release", Actor(*BY), w.ports, terms=Handover(dual_sign=DAY, retire_after=DAY)
    ),
    "publish-first": lambda w, _: lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(publish_first=DAY)),
    "prepare": lambda w, _: lifecycle.prepare("release", Actor(*BY), w.ports),
    "compromise": lambda w, old: lifecycle.compromise(fingerprint(old.spki), Actor(*BY), w.ports, rotate=True),
}


async def scene() -> tuple[World, BookKey]:
    w = await world()
    await w.push(image("app"), "team/app", "before")
    (old,) = w.store.keybook.ring().ours
    return w, old


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
async def test_one_key_is_active_whatever_the_moment(change: str, after: bool) -> None:
    budget = StepBudget()
    w, old = await scene()
    await CHANGES[change](dying(w, budget), old)
    assert budget.steps >= 2  # the key on its token; its row and the change of the book are one
    for left in range(budget.steps):
        w, old = await scene()
        with suppress(Killed):
            await CHANGES[change](dying(w, StepBudget(left, after)), old)
        await check(restarted(w), change, old)


async def check(w: World, change: str, old: BookKey) -> None:
    keys = w.store.keybook.ring().ours
    (active,) = [key for key in keys if key.state is KeyState.ACTIVE]
    told = {e.detail["key"] for e in w.store.journal.events if e.kind in {EventKind.KEY_CREATED, EventKind.KEY_STATE}}
    assert {fingerprint(key.spki) for key in keys if key != old} <= told, "a change is told before it takes effect"
    await w.push(image("new"), "team/app", "v1")
    new = {key for key, message in w.signer.made if image("new").digest.encode() in message}
    assert fingerprint(active.spki) in new
    assert new <= {fingerprint(key.spki) for key in w.store.keybook.ring().signers("release", NOON)["soft"]}
    assert (await w.pull("team/app", "v1")).status == 200
    if change != "compromise":
        assert (await w.pull("team/app", "before")).status == 200
    for key in keys:  # the operator goes on with what is there, or begins again
        if key.state is KeyState.PREPARED:
            await lifecycle.activate(fingerprint(key.spki), Actor(*BY), w.ports)
    with suppress(Fault):  # done already
        await lifecycle.compromise(fingerprint(old.spki), Actor(*BY), w.ports, rotate=True)
    states = [key.state for key in w.store.keybook.ring().ours]
    assert states.count(KeyState.ACTIVE) == 1
    assert states[0] is KeyState.COMPROMISED
