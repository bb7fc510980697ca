"""Fault 7: the process dies at every single step of taking a key in, finding it again, or destroying it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import pytest

from proxy.keys import custody, lifecycle
from proxy.keys.custody import Sought
from proxy.oci.faults import Fault
from proxy.tokens.inventory_port import TokenInventory
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from tests.worlds.conversation import World, world
from tests.worlds.crash import Dying, Killed, StepBudget, dying, restarted
from tests.worlds.softtokens import SoftTokens, held

BY = Actor("alice", "socket", "because")


@dataclass
class Scene:
    """A retired key, and one that somebody made; the active key is on a token that was restored."""

    w: World
    tokens: SoftTokens
    old: BookKey
    theirs: BookKey
    active: BookKey


async def scene() -> Scene:
    w = await world()
    done = await lifecycle.rotate("release", Actor("a", "b", "c"), w.ports)
    assert done.old is not None
    old = await lifecycle.retire(fingerprint(done.old.spki), Actor("a", "b", "c"), w.ports)
    theirs = replace(w.signer.create("release"), label="theirs")
    moved = replace(done.new, token_serial="0002")
    return Scene(w, SoftTokens(w.signer, held(old), held(theirs), held(moved)), old, theirs, moved)


Change = Callable[[World, TokenInventory, Scene], Awaitable[BookKey]]
CHANGES: dict[str, tuple[Change, Callable[[Scene], BookKey], KeyState]] = {
    "import": (
        lambda w, tokens, _: custody.take_in("release", Sought("theirs"), BY, w.ports, tokens),
        lambda s: s.theirs, KeyState.PREPARED,
    ),
    "rebind": (
        lambda w, tokens, s: custody.rebind(fingerprint(s.active.spki), "", BY, w.ports, tokens),
        lambda s: s.active, KeyState.ACTIVE,
    ),
    "destroy": (
        lambda w, tokens, s: custody.destroy(
            fingerprint(s.old.spki), fingerprint(s.old.spki)[:12], BY, w.ports, tokens
        ),
        lambda s: s.old, KeyState.DESTROYED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", CHANGES)
async def test_told_first_and_finished_when_said_again(name: str, after: bool) -> None:
    change, which, state = CHANGES[name]
    whole = StepBudget()
    s = await scene()
    await change(dying(s.w, whole), cast("TokenInventory", Dying(s.tokens, whole)), s)
    assert whole.steps >= 3
    for left in range(whole.steps):
        s, budget = await scene(), StepBudget(left, after)
        rows = len(s.w.store.journal.events)
        with suppress(Killed):
            await change(dying(s.w, budget), cast("TokenInventory", Dying(s.tokens, budget)), s)
        w, key = restarted(s.w), which(s)
        told = s.w.store.journal.events[rows:]
        changed = key in w.store.keybook.ring().ours if name != "destroy" else bool(s.tokens.destroyed)
        assert told or not changed, "a change is told before it takes effect"
        with suppress(Fault):  # done already
            await change(w, s.tokens, s)
        (found,) = [k for k in w.store.keybook.ring().ours if k.spki == key.spki]
        assert (found.state, found.token_serial) == (state, key.token_serial)
