"""Attack 41: newer images that nobody may pull crowd out the good ones that share their layers, or their children."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault
from proxy.oci.manifest import OCI_INDEX
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, digest_of, parse_digest
from proxy.registry.cache import Cache
from proxy.trust.fact import ManifestFact
from proxy.trust.policy import Clause, PullRules
from tests.attacks.test_a19_index_games import PARTNER, sign_as_partner
from tests.attacks.test_a20_blobs import sharing
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.denials import denied
from tests.worlds.foreign import trusted
from tests.worlds.images import Image, image, index
from tests.worlds.orders import denial, exception

BASE = b"the base layer of everything"
LAYER = digest_of(BASE)


async def with_partner() -> World:
    """A proxy that signs, and wants a partner's signature too."""
    both = PullRules(require=(Clause(("release",)), Clause(("partner",))))
    return await world(replace(SIGN, pull=both), trusted=(trusted(PARTNER, identity="any"),))


async def deny(w: World, *digests: Digest) -> None:
    for digest in digests:
        await w.store.overrides.deny(denial(digest, name=digest[-12:]))


def elsewhere(w: World) -> World:
    """Return another server on the same store, which has served nothing yet."""
    memory = Cache(w.ports.limits, w.store.clock.monotonic)
    return replace(w, ports=replace(w.ports, cache=memory))


async def builds(w: World, many: int) -> list[Image]:
    made = [sharing(BASE, f"build {n}") for n in range(many)]
    for n, one in enumerate(made):
        await w.push(one, "team/app", f"b{n}")
    return made


async def signed_twice(w: World, seed: str) -> Image:
    """Push an image that our key and the partner's sign."""
    good = sharing(BASE, seed)
    await w.push(good, "team/app", seed)
    sign_as_partner(w, "team/app", good)
    return good


@pytest.mark.parametrize("server", ["which served it", "another"])
async def test_the_layer_of_an_older_image_when_the_newest_builds_are_recalled(server: str) -> None:
    """Before: 72 builds, the eight newest recalled, and the layer of every older image was `denied_digest`."""
    w = await world()
    good = sharing(BASE, "good")
    await w.push(good, "team/app", "good")
    made = await builds(w, 72)
    await w.pull("team/app", "good")
    await w.ports.cache.settle()
    there = w if server == "which served it" else elsewhere(w)
    await deny(w, *(one.digest for one in made[-8:]))
    assert (await there.blob("team/app", LAYER)).status == 200
    await deny(w, *(one.digest for one in made))
    assert (await there.pull("team/app", "good")).status == 200
    assert (await there.blob("team/app", LAYER)).status == 200


async def test_a_whole_year_of_builds_is_recalled_and_the_oldest_still_has_its_layer() -> None:
    w = await world()
    good = sharing(BASE, "good")
    await w.push(good, "team/app", "good")
    await w.pull("team/app", "good")
    await w.ports.cache.settle()
    builds = [digest_of(f"build {n}".encode()) for n in range(700)]
    for one in builds:
        await w.store.facts.learn(
            ManifestFact(REPO, one, "application/vnd.oci.image.manifest.v1+json", 1, (), (LAYER,))
        )
        await w.store.facts.passed(REPO, one, w.store.clock.now())
    await deny(w, *builds)
    asked = len(w.registry.seen)
    assert (await elsewhere(w).blob("team/app", LAYER)).status == 200
    assert len(w.registry.seen) - asked < 30


@pytest.mark.parametrize("server", ["which served it", "another"])
async def test_a_pusher_without_the_second_signer_crowds_out_nothing(server: str) -> None:
    w = await with_partner()
    await signed_twice(w, "good")
    assert (await w.pull("team/app", "good")).status == 200
    await w.ports.cache.settle()
    await builds(w, 300)
    w.store.clock.advance(120)
    there = w if server == "which served it" else elsewhere(w)
    assert (await there.blob("team/app", LAYER)).status == 200


async def test_what_was_not_looked_through_is_not_called_denied() -> None:
    w = await with_partner()
    await signed_twice(w, "good")  # nobody has pulled it yet: nothing says where to look
    made = await builds(w, 30)
    await deny(w, *(one.digest for one in made[-8:]))
    asked = len(w.registry.seen)
    fault = await denied(w, lambda: w.blob("team/app", LAYER), "not_verifiable", times=1)
    assert "finding out costs more than one request may" in fault.message
    assert len(w.registry.seen) - asked < 120, "eight are judged, no more"
    for _ in range(2):  # whoever tries again gets further: what was judged just now costs nothing
        with suppress(Fault):
            await w.blob("team/app", LAYER)
    assert (await w.blob("team/app", LAYER)).status == 200


async def test_what_all_of_it_is_denied_is_said_so() -> None:
    w = await world()
    made = await builds(w, 20)
    await deny(w, *(one.digest for one in made))
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")
    await denied(w, lambda: elsewhere(w).blob("team/app", LAYER), "denied_digest")


async def test_what_served_a_layer_serves_it_no_more_once_it_is_denied_or_gone() -> None:
    w = await world()
    good = sharing(BASE, "good")
    await w.push(good, "team/app", "good")
    await w.pull("team/app", "good")
    assert (await w.blob("team/app", LAYER)).status == 200
    await deny(w, good.digest)
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")


async def test_the_layer_of_the_one_image_that_an_exception_lets_through() -> None:
    w = await world()
    lucky = sharing(BASE, "lucky")
    w.put_behind(lucky, "team/app", "lucky")
    await w.blocked("team/app", "lucky")
    for n in range(300):
        await w.store.facts.learn(ManifestFact(REPO, digest_of(str(n).encode()), "x", 1, (), (LAYER,)))
    await w.store.overrides.keep(exception("team/app", lucky.digest))
    assert (await elsewhere(w).blob("team/app", LAYER)).status == 200


@pytest.mark.parametrize("server", ["which served it", "another"])
async def test_a_child_that_stands_by_an_older_index(server: str) -> None:
    w = await with_partner()
    child = image("child")
    good = index(child)
    await w.push(good, "team/app", "good")
    sign_as_partner(w, "team/app", good)
    assert (await w.pull("team/app", "good")).status == 200
    assert (await w.pull("team/app", child.digest)).status == 200
    await w.ports.cache.settle()
    for n in range(300):
        await w.store.facts.learn(ManifestFact(REPO, digest_of(str(n).encode()), OCI_INDEX, 1, (child.digest,)))
    newer = [index(child, annotations={"n": str(n)}) for n in range(10)]
    for one in newer:
        await w.push(one, "team/app", "other")
    w.store.clock.advance(120)
    there = w if server == "which served it" else elsewhere(w)
    assert (await there.pull("team/app", child.digest)).status == 200
    layer = parse_digest(json.loads(child.body)["layers"][0]["digest"])
    assert (await there.blob("team/app", layer)).status == 200
    await deny(w, *(one.digest for one in newer))  # a denied index means its children, whoever else lists them
    assert await there.blocked("team/app", child.digest) == "denied_digest"


async def test_a_denied_outer_index_is_seen_through_however_many_parents() -> None:
    """Before: 64 newer parents of a child hid the index above another one."""
    w = await world()
    child = image("child")
    inner = index(child)
    outer = index(inner)
    await w.push(outer, "team/app", "1")
    for n in range(200):
        await w.store.facts.learn(ManifestFact(REPO, digest_of(str(n).encode()), OCI_INDEX, 1, (child.digest,)))
    assert (await w.pull("team/app", child.digest)).status == 200
    await deny(w, outer.digest)
    assert await w.blocked("team/app", child.digest) == "denied_digest"
    assert await elsewhere(w).blocked("team/app", child.digest) == "denied_digest"


async def test_judging_again_what_cannot_be_judged_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await with_partner()
    await builds(w, 40)
    w.registry.fail(PullManifest, 500, times=10_000)
    asked = len(w.registry.seen)
    await denied(elsewhere(w), lambda: elsewhere(w).blob("team/app", LAYER), "not_verifiable", times=1)
    assert len(w.registry.seen) - asked < 60
