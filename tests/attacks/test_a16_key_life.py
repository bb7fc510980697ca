"""Attack 16: a key outside of the time in which it counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.keys import lifecycle
from proxy.oci.reference import signature_tag
from proxy.registry.signing.sign import sign, wanted
from proxy.trust.actor import Actor
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, SIGN, World, signed_by, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.softkey import about

BY = Actor("bob", "basic", "", "r")

APP = image("app")
DENIED = {KeyState.RETIRED: "key_retired", KeyState.DESTROYED: "key_retired", KeyState.COMPROMISED: "key_compromised"}


async def move(w: World, state: KeyState) -> None:
    (key,) = w.store.keybook.ring().ours
    for each in (KeyState.RETIRED, state) if state is KeyState.DESTROYED else (state,):
        await w.store.keybook.set_state(fingerprint(key.spki), each, w.store.clock.now())


@pytest.mark.parametrize("state", list(KeyState))
async def test_what_each_state_means_for_a_pull(state: KeyState) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200
    await move(w, state)
    if state in DENIED:
        await denied(w, lambda: w.pull("team/app", "v1"), DENIED[state])
        await denied(w, lambda: w.pull("team/app", APP.digest), DENIED[state])
    else:
        assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("state", [s for s in KeyState if s is not KeyState.ACTIVE])
async def test_only_an_active_key_signs(state: KeyState) -> None:
    w = await world()
    await move(w, state)
    w.registry.put_blob("team/app", APP.blobs[0])
    w.registry.put_blob("team/app", APP.blobs[1])
    with pytest.raises(Exception, match="no signature could be made"):
        await w.push(APP, "team/app", "v1")
    assert not w.signer.made
    assert w.tag("team/app", "v1") is None
    (row,) = [e for e in w.store.journal.events if e.kind == "push.not_signed"]
    assert (row.reason, row.detail["what"]) == ("not_signed", "no active key for profile release")


async def test_a_second_key_takes_over_and_old_images_keep_verifying() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    (old,) = w.store.keybook.ring().ours
    await move(w, KeyState.TRUSTED)
    await w.store.keybook.add(w.signer.create("release"))
    await w.push(image("new"), "team/app", "v2")
    assert (await w.pull("team/app", "v1")).status == 200
    assert (await w.pull("team/app", "v2")).status == 200
    await w.store.keybook.set_state(fingerprint(old.spki), KeyState.COMPROMISED, w.store.clock.now())
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")
    assert (await w.pull("team/app", "v2")).status == 200
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200


async def test_no_time_from_the_signature_is_believed() -> None:
    """The signed claim says it was made long before; the state of the key today decides."""
    w = await world(Policy(("**",), PushRules(("release",), claims=("time",)), signed_by("release")))
    pairs = wanted(SIGN.push.formats, REPO, (), w.ports)
    w.put_behind(APP, "team/app")
    await sign(REPO, about(APP.digest), pairs, ("release",), {"time": "2001-01-01T00:00:00Z"}, BY, w.ports)
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200
    await move(w, KeyState.COMPROMISED)
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")


async def test_a_state_counts_from_the_very_moment_it_is_set() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    for _ in range(3):
        await move(w, KeyState.RETIRED)
        await denied(w, lambda: w.pull("team/app", "v1"), "key_retired", times=1)
        await move(w, KeyState.ACTIVE)
        assert (await w.pull("team/app", "v1")).status == 200


LEDGER = Policy(
    ("**",),
    PushRules(sign_with=("release",), claims=("time",)),
    PullRules(require=(Clause(("release",)),), trust_ledger=True),
)


async def stolen(w: World, *, seconds: float | None) -> None:
    """The key is in other hands since that many seconds after what is signed now; None: nobody knows."""
    (key,) = w.store.keybook.ring().ours
    made = w.store.clock.now()
    w.store.clock.advance(3600)
    since = None if seconds is None else made + timedelta(seconds=seconds)
    await lifecycle.compromise(fingerprint(key.spki), Actor("alice", "socket", "stolen"), w.ports, since=since)


@pytest.mark.parametrize("seconds", [1, 0, -1, None])
async def test_compromised_since_counts_to_the_second(seconds: float | None) -> None:
    w = await world(LEDGER)
    await w.push(APP, "team/app", "v1")
    await stolen(w, seconds=seconds)
    if seconds == 1:
        assert (await w.pull("team/app", "v1")).body == APP.body
        return
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")


async def test_without_the_policys_word_the_ledger_excuses_nothing() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await stolen(w, seconds=1)
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")


async def test_what_the_thief_dates_back_and_hangs_up_is_not_in_our_ledger() -> None:
    """The stolen key signs anything, with any time in it, and puts it where signatures are: it counts nowhere."""
    w = await world(LEDGER)
    forged = image("forged")
    w.put_behind(forged, "team/app", "v9")
    pairs = wanted(SIGN.push.formats, REPO, (), w.ports)
    await sign(REPO, about(forged.digest), pairs, ("release",), {"time": "2001-01-01T00:00:00Z"}, BY, w.ports)
    assert (await w.push(forged, "team/app", "v9")).status == 201
    w.store.ledger.rows.clear()  # so that what is left is what the thief could have written: upstream, not here
    assert w.tag("team/app", signature_tag(forged.digest)) is not None
    assert (await w.pull("team/app", "v9")).status == 200
    await stolen(w, seconds=1)
    await denied(w, lambda: w.pull("team/app", "v9"), "key_compromised")


async def test_an_intent_from_before_is_no_signature_from_before() -> None:
    """What was only meant to be signed when the key was still good, and was signed later, has the later time."""
    w = await world(LEDGER)
    w.signer.down = "token soft is away"
    with pytest.raises(Exception, match="the signing device is unavailable"):
        await w.push(APP, "team/app", "v1")
    w.store.clock.advance(60)
    w.signer.down = None
    await w.push(APP, "team/app", "v1")
    await stolen(w, seconds=0)
    await denied(w, lambda: w.pull("team/app", "v1"), "key_compromised")
