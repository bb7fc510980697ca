"""A key is lost: another signs, what it signed verifies or not, and nothing is changed where nothing could sign."""

from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.journal.event import EventKind
from proxy.keys import lifecycle
from proxy.keys.lost import Loss, lose
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.trust.schedule import Handover
from tests.unit.keys.test_lifecycle import BY, OLD, active, name, states
from tests.worlds.conversation import world
from tests.worlds.images import image

BURNT = Actor("alice", "socket", "it burnt", "r1")


async def test_another_key_signs_and_what_the_lost_one_signed_verifies() -> None:
    w = await world()
    await w.push(OLD, "team/app", "old")
    gone = active(w)
    done = await lose(name(gone), Loss(), BURNT, w.ports)
    assert states(w) == [KeyState.TRUSTED, KeyState.ACTIVE]
    assert (done.old.state, done.new) == (KeyState.TRUSTED, active(w))
    await w.push(image("new"), "team/app", "new")
    assert w.signer.made[-1][0] == name(done.new)
    assert (await w.pull("team/app", "old")).status == 200
    (event,) = [e for e in w.store.journal.events if e.kind is EventKind.KEY_LOST]
    assert (event.who, event.detail["key"], event.detail["new"]) == ("alice", name(gone), name(done.new))


async def test_where_others_may_have_it_nothing_that_it_signed_counts() -> None:
    w = await world()
    await w.push(OLD, "team/app", "old")
    done = await lose(name(active(w)), Loss(compromised=True), BURNT, w.ports)
    assert done.old.state is KeyState.COMPROMISED
    assert states(w) == [KeyState.COMPROMISED, KeyState.ACTIVE]


async def test_where_no_token_can_make_a_key_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()
    before = w.store.keybook.ring()

    async def away(*_: object) -> BookKey:
        raise Unavailable("token soft is not open")

    monkeypatch.setattr(w.signer, "create_key", away)
    with pytest.raises(Unavailable, match="nothing was changed"):
        await lose(name(active(w)), Loss(), BURNT, w.ports)
    assert w.store.keybook.ring() == before


async def test_a_prepared_key_takes_over_and_a_lost_prepared_one_is_given_up() -> None:
    w = await world()
    ready = await lifecycle.prepare("release", Actor(*BY), w.ports)
    done = await lose(name(active(w)), Loss(), BURNT, w.ports)
    assert name(done.new) == name(ready)
    again = await lifecycle.prepare("release", Actor(*BY), w.ports)
    assert (await lose(name(again), Loss(), BURNT, w.ports)).old.state is KeyState.RETIRED


async def test_one_that_signs_beside_another_signs_no_more() -> None:
    w = await world()
    beside = (await lifecycle.rotate("release", Actor(*BY), w.ports, terms=Handover(dual_sign=timedelta(days=14)))).old
    done = await lose(name(beside), Loss(), BURNT, w.ports)
    assert (done.old.state, done.old.signs_until, done.new) == (KeyState.TRUSTED, None, None)


async def test_what_signs_nothing_needs_nobody_in_its_place() -> None:
    w = await world()
    gone = active(w)
    await lose(name(gone), Loss(), BURNT, w.ports)
    with pytest.raises(Fault, match="signs nothing"):
        await lose(fingerprint(gone.spki), Loss(), BURNT, w.ports)
    with pytest.raises(Fault, match="add --compromised"):
        await lose(name(active(w)), Loss(since=w.store.clock.now()), BURNT, w.ports)
    with pytest.raises(Fault, match=r"keys\.release\.tokens lists"):
        await lose(name(active(w)), Loss(token="elsewhere"), BURNT, w.ports)
