"""Fault 1: the process dies at every single step of a push, before the step or after it; the next one goes on.

In memory every step is tried. What a real kill -9 leaves on a real disk is tried by the store's own fault tests.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace

import pytest

from proxy.formats.simple_signing import SIGNATURE
from proxy.oci.operation import FinishUpload, PushManifest, StartUpload
from proxy.oci.reference import subject_of_tag
from proxy.registry.cache import Cache
from proxy.trust.ledger import Stage
from tests.worlds.conversation import REPO, World, world
from tests.worlds.crash import Killed, StepBudget, dying, restarted
from tests.worlds.images import Image, image, index
from tests.worlds.memory import MemoryFacts, MemoryLedger
from tests.worlds.registry import MemoryRegistry

APP = image("app")
BOTH = index(image("amd"), image("arm", docker=True))
SHAPES = {"image": APP, "index": BOTH}
SIDE_BY_SIDE = 5  # signatures of a manifest and its children that are stored together: what one death may leave unheard


async def scene(one: Image, *, referrers: bool, shared: bool = False, opens: bool = False) -> World:
    """With `opens`, upstream takes a blob in two requests, and the proxy opens uploads while the token signs."""
    w = await world(registry=MemoryRegistry(referrers=referrers))
    w.store.tags.sole = not shared
    if opens:
        w.registry.single_post = False
    for part in (one, *one.children):
        for blob in part.blobs:
            w.registry.put_blob("team/app", blob)
    return w


def mortal(w: World, budget: StepBudget) -> World:
    """The same world with so many steps left; it has learned how upstream takes blobs."""
    mortal = dying(w, budget)
    if not w.registry.single_post:
        mortal.ports.cache.single_post[REPO] = False
    return mortal


async def steps_of(one: Image, *, referrers: bool, opens: bool) -> int:
    budget = StepBudget()
    w = mortal(await scene(one, referrers=referrers, opens=opens), budget)
    await w.push(one, "team/app", "v1")
    await w.ports.cache.settle()
    return budget.steps


async def upstream_alone(w: World) -> World:
    """Somebody who has nothing but what is upstream and the public keys."""
    memory = Cache(w.ports.limits, w.store.clock.monotonic)
    return replace(w, ports=replace(w.ports, ledger=MemoryLedger(), facts=MemoryFacts(), cache=memory))


def attached_signatures(w: World) -> dict[str, set[str]]:
    """Every signature that was ever sent upstream, by what it signs."""
    found: dict[str, set[str]] = defaultdict(set)
    for seen in w.registry.seen:
        if isinstance(seen.operation, PushManifest):
            for layer in json.loads(seen.body).get("layers", ()):
                if SIGNATURE in layer.get("annotations", {}):
                    found[layer["digest"]].add(layer["annotations"][SIGNATURE])
        if isinstance(seen.operation, FinishUpload | StartUpload) and b"dsseEnvelope" in seen.body:
            envelope = json.loads(seen.body)["dsseEnvelope"]
            found[envelope["payload"]].add(envelope["signatures"][0]["sig"])
    return found


async def check(w: World, one: Image, deaths: int = 1) -> None:
    tags = {t: d for t, d in w.registry.shelf("team/app").tags.items() if subject_of_tag(t) is None}  # type: ignore[arg-type]
    w = restarted(w)
    for tag in tags:
        judged_by_upstream = await upstream_alone(w)
        assert (await judged_by_upstream.pull("team/app", tag)).status == 200, "a tag points at something unsigned"
    made = len(w.signer.made)
    answer = await w.push(one, "team/app", "v1")
    assert answer.status == 201, "the retry does not converge"
    assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.ATTACHED}
    for signed, signatures in attached_signatures(w).items():
        assert len(signatures) == 1, f"{signed} was attached with two signatures"
    wanted = len(w.store.ledger.rows)
    assert len(w.signer.made) <= wanted + deaths * SIDE_BY_SIDE, "more was signed again than what died unheard"
    assert made <= wanted + (deaths - 1) * SIDE_BY_SIDE
    stranger = await upstream_alone(w)
    for part in (one, *one.children):
        assert (await stranger.pull("team/app", part.digest)).body == part.body
    await w.ports.cache.settle()
    w.store.clock.advance(3600)
    writes = w.registry.count(PushManifest, StartUpload, FinishUpload)
    await w.pull("team/app", "v1")
    await w.ports.cache.settle()
    assert w.registry.count(PushManifest, StartUpload, FinishUpload) == writes, "something was still missing"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("opens", [False, True], ids=["one request", "opens"])
@pytest.mark.parametrize(("shape", "referrers"), [("image", True), ("image", False), ("index", False), ("index", True)])
async def test_killed_at_every_step_of_a_push(shape: str, referrers: bool, opens: bool, after: bool) -> None:
    """Also at what is done while the token signs, while the tag is written, and beside other uploads."""
    one = SHAPES[shape]
    steps = await steps_of(one, referrers=referrers, opens=opens)
    assert steps > 20
    for left in range(steps):
        w = await scene(one, referrers=referrers, opens=opens)
        with suppress(Killed):
            dies = mortal(w, StepBudget(left, after))
            await dies.push(one, "team/app", "v1")
        await dies.ports.cache.settle()
        await check(w, one)


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_every_step_of_moving_a_tag(after: bool, shared: bool) -> None:
    """There is an older image under the tag: what dies leaves the tag on one of the two, both of them signed."""
    new = image("new")
    budget = StepBudget()
    w = await scene(APP, referrers=False, shared=shared)
    await w.push(APP, "team/app", "v1")
    await dying(w, budget).push(new, "team/app", "v1")
    for left in range(budget.steps):
        w = await scene(APP, referrers=False, shared=shared)
        await w.push(APP, "team/app", "v1")
        with suppress(Killed):
            await dying(w, StepBudget(left, after)).push(new, "team/app", "v1")
        assert w.tag("team/app", "v1") in {APP.digest, new.digest}
        await check(w, new)


async def test_killed_again_and_again_until_it_is_through() -> None:
    w, deaths = await scene(BOTH, referrers=False), 0
    for attempt in range(200):
        try:
            await dying(w, StepBudget(7 + attempt, after=attempt % 2 == 0)).push(BOTH, "team/app", "v1")
            break
        except Killed:
            deaths += 1
            w = restarted(w)
    assert deaths > 5
    await check(w, BOTH, deaths)
