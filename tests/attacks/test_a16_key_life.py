"""Attack 16: a key outside of the time in which it counts."""

from __future__ import annotations

import pytest

from proxy.flows.sign import sign, wanted
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import REPO, SIGN, World, signed_by, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.softkey import about

APP = image("app")
DENIED = {KeyState.RETIRED: "key_retired", KeyState.COMPROMISED: "key_compromised"}


async def move(w: World, state: KeyState) -> None:
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), state, w.store.clock.now())


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
    with pytest.raises(Exception, match="no active key for profile release"):
        await w.push(APP, "team/app", "v1")
    assert not w.signer.made
    assert w.tag("team/app", "v1") is None
    assert [e.reason for e in w.store.journal.events if e.kind == "push.not_signed"] == ["not_signed"]


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
    pairs = wanted(SIGN.push.formats, REPO, (), w.house)
    w.plant(APP, "team/app")
    await sign(REPO, about(APP.digest), pairs, ("release",), {"time": "2001-01-01T00:00:00Z"}, "r", w.house)
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
