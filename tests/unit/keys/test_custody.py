"""Keys are taken in, found again, backed up and destroyed: each proved, recorded first, and refused where in doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.journal.event import Event, EventKind
from proxy.keys import custody, lifecycle
from proxy.keys.custody import Sought
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from tests.worlds.conversation import World, world
from tests.worlds.images import image
from tests.worlds.memory import NOON
from tests.worlds.softtokens import SoftTokens, held

BY = Actor("alice", "socket", "it is Tuesday", "r1")


def last(w: World) -> Event:
    return w.store.journal.events[-1]


def made(w: World, label: str = "theirs") -> BookKey:
    """A key that somebody made on the token."""
    return replace(w.signer.create("release", state=KeyState.PREPARED), label=label)


async def retired(w: World) -> BookKey:
    done = await lifecycle.rotate("release", Actor("a", "b", "c"), w.ports)
    assert done.old is not None
    return await lifecycle.retire(fingerprint(done.old.spki), Actor("a", "b", "c"), w.ports)


async def test_a_key_that_was_there_becomes_prepared_and_then_signs() -> None:
    w = await world()
    theirs = made(w)
    tokens = SoftTokens(w.signer, held(theirs), held(made(w, "other")))
    for sought in (Sought("theirs"), Sought(key_id=theirs.key_id.upper()), Sought("theirs", theirs.key_id, "soft")):
        assert (await custody.may_take_in("release", sought, w.ports, tokens)).spki == theirs.spki
    taken = await custody.take_in("release", Sought("theirs"), BY, w.ports, tokens)
    assert (taken.state, taken.label, taken.spki) == (KeyState.PREPARED, "theirs", theirs.spki)
    assert (last(w).kind, last(w).who, last(w).detail["imported"]) == (EventKind.KEY_CREATED, "alice", True)
    assert last(w).detail["attributes"]["EXTRACTABLE"] is False
    await lifecycle.activate(fingerprint(theirs.spki), Actor("a", "b", "c"), w.ports)
    await w.push(image("new"), "team/app", "v1")
    assert {key for key, _ in w.signer.made[-1:]} == {fingerprint(theirs.spki)}


async def test_what_may_have_copies_is_taken_only_by_who_says_so() -> None:
    w = await world()
    tokens = SoftTokens(w.signer, held(made(w), EXTRACTABLE=True))
    with pytest.raises(Fault, match=r"may have copies elsewhere \(EXTRACTABLE is True\)"):
        await custody.take_in("release", Sought("theirs"), BY, w.ports, tokens)
    taken = await custody.take_in("release", Sought("theirs", extractable=True), BY, w.ports, tokens)
    assert taken.state is KeyState.PREPARED


async def test_what_is_not_exactly_one_key_that_signs_is_not_taken_in() -> None:
    w = await world()
    (own,) = (k for k in w.store.keybook.ring().ours if k.profile == "release")
    stranger = replace(made(w, "stranger"), spki=made(w).spki + b"x")
    mute = made(w, "mute")
    there = (held(made(w, "two")), held(made(w, "two")), held(own), held(stranger), held(mute, SIGN=False))
    tokens, before = SoftTokens(w.signer, *there), w.store.journal.events
    for sought, why in (
        (Sought(), "name the key"),
        (Sought("two"), "has 2 usable keys of label 'two'"),
        (Sought("gone"), "has 0 usable keys of label 'gone'; it holds 'two'"),
        (Sought("two", token="elsewhere"), "has no token 'elsewhere'; it has soft, standby"),
        (Sought("release"), "is active in the key book already"),
        (Sought("mute"), "its attribute SIGN is False"),
    ):
        with pytest.raises(Fault, match=why):
            await custody.take_in("release", sought, BY, w.ports, tokens)
    with pytest.raises(Unavailable):  # it cannot prove itself
        await custody.take_in("release", Sought("stranger"), BY, w.ports, tokens)
    with pytest.raises(Fault, match="no key profile 'other'"):
        await custody.take_in("other", Sought("two"), BY, w.ports, tokens)
    assert w.store.journal.events == before
    await lifecycle.prepare("release", Actor("a", "b", "c"), w.ports)
    with pytest.raises(Fault, match="has a prepared key already"):
        await custody.take_in("release", Sought("mute"), BY, w.ports, tokens)


async def test_a_key_is_found_again_on_another_token_and_keeps_its_state() -> None:
    w = await world()
    (own,) = (k for k in w.store.keybook.ring().ours if k.profile == "release")
    moved = replace(own, token="standby", token_serial="0002", key_id="ff", label="restored")
    tokens, name = SoftTokens(w.signer, held(own), held(moved)), fingerprint(own.spki)
    with pytest.raises(Fault, match="on token soft, serial 0001, as recorded"):
        await custody.rebind(name, "", BY, w.ports, tokens)
    assert await custody.rebind(name, "standby", BY, w.ports, tokens) == moved
    assert last(w).kind is EventKind.KEY_REBOUND
    assert last(w).detail["from"]["token_serial"] == "0001"
    assert last(w).detail["to"]["token_serial"] == "0002"
    tokens.there = []
    with pytest.raises(Fault, match=r"holds key .* 0 times; it holds no usable key"):
        await custody.rebind(name, "soft", BY, w.ports, tokens)


async def test_another_key_under_the_same_name_is_not_bound_to() -> None:
    w = await world()
    (own,) = (k for k in w.store.keybook.ring().ours if k.profile == "release")
    tokens = SoftTokens(w.signer, replace(held(own), token_serial="0002", spki=made(w).spki))
    with pytest.raises(Fault, match="0 times"):
        await custody.rebind(fingerprint(own.spki), "", BY, w.ports, tokens)


async def test_a_backup_is_noted_and_none_of_tomorrow() -> None:
    w = await world()
    name = fingerprint(w.store.keybook.ring().ours[0].spki)
    assert (await custody.backed_up(name, None, BY, w.ports)).backup_at == w.ports.clock.now()
    yesterday = NOON - timedelta(days=1)
    assert (await custody.backed_up(name, yesterday, BY, w.ports)).backup_at == yesterday
    assert (last(w).kind, last(w).detail["reason"]) == (EventKind.KEY_BACKED_UP, "it is Tuesday")
    with pytest.raises(Fault, match="is in the future"):
        await custody.backed_up(name, NOON + timedelta(days=1), BY, w.ports)
    with pytest.raises(Fault, match="older than any key"):
        await custody.backed_up(name, NOON.replace(year=1), BY, w.ports)


async def test_only_a_retired_key_is_destroyed_and_only_once_its_name_was_typed() -> None:
    w = await world()
    await w.push(image("old"), "team/app", "old")
    tokens, active = SoftTokens(w.signer), fingerprint(w.store.keybook.ring().ours[0].spki)
    with pytest.raises(
        Fault, match=r"only a retired key can be destroyed: countersign keys rotate .*; then: countersign keys retire"
    ):
        await custody.destroy(active, active, BY, w.ports, tokens)
    old = await retired(w)
    name = fingerprint(old.spki)
    for typed in ("", name[:11], "0" * 12):
        with pytest.raises(Fault, match="type the first 12 digits"):
            await custody.destroy(name, typed, BY, w.ports, tokens)
    assert tokens.destroyed == []
    gone = await custody.destroy(name[:8], name[:12], BY, w.ports, tokens)
    assert (gone.state, tokens.destroyed) == (KeyState.DESTROYED, [old])
    assert (last(w).detail["from"], last(w).detail["to"]) == ("retired", "destroyed")
    with pytest.raises(Fault, match="the key that signed it is retired"):
        await w.pull("team/app", "old")
    for again in (custody.destroy(name, name, BY, w.ports, tokens), custody.rebind(name, "", BY, w.ports, tokens)):
        with pytest.raises(Fault, match="is destroyed"):
            await again
    with pytest.raises(Fault, match="is destroyed"):
        await custody.backed_up(name, None, BY, w.ports)


async def test_a_token_that_is_away_leaves_the_key_retired() -> None:
    w = await world()
    name, tokens = fingerprint((await retired(w)).spki), SoftTokens(w.signer)
    tokens.down = "switched off"
    with pytest.raises(Unavailable, match="switched off"):
        await custody.destroy(name, name, BY, w.ports, tokens)
    assert lifecycle.find(name, w.ports).state is KeyState.RETIRED
    tokens.down = None
    assert (await custody.destroy(name, name, BY, w.ports, tokens)).state is KeyState.DESTROYED
