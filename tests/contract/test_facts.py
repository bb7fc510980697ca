"""Facts: what lists what, forwards and backwards."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

from proxy.registry.ports.facts import Facts
from proxy.trust.fact import Listing
from tests.contract.conftest import AnyStore
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.orders import denial
from tests.worlds.stored import APP, OTHER, digest, manifest


async def test_a_fact_comes_back_whole(facts: Facts) -> None:
    fact = replace(manifest("index", "b", "a", "b", children=("y", "x")), subject=digest("subject"), artifact=False)
    assert await facts.manifest(APP, fact.digest) is None
    await facts.learn(fact)
    assert await facts.manifest(APP, fact.digest) == fact


async def test_a_fact_is_of_one_repository(facts: Facts) -> None:
    await facts.learn(manifest("image", "layer"))
    assert await facts.manifest(OTHER, digest("image")) is None
    assert await facts.listing(OTHER, digest("layer"), 8) == Listing()
    await facts.forget(OTHER, digest("image"))
    assert await facts.manifest(APP, digest("image")) is not None


async def test_repositories_with_a_manifest_are_listed_once_in_order(facts: Facts) -> None:
    for repository, name in ((OTHER, "1"), (APP, "1"), (APP, "2"), (OTHER, "2")):
        await facts.learn(replace(manifest(name), repository=repository))
    assert list(await facts.repositories(8)) == sorted([APP, OTHER])
    assert list(await facts.repositories(1)) == sorted([APP, OTHER])[:1]
    for name in ("1", "2"):
        await facts.forget(APP, digest(name))
    assert await facts.repositories(8) == (OTHER,)


async def test_an_examination_is_never_undone(facts: Facts) -> None:
    fact = manifest("image", "layer")
    await facts.learn(fact)
    await facts.learn(replace(fact, artifact=True))
    await facts.learn(fact)
    assert await facts.manifest(APP, fact.digest) == replace(fact, artifact=True)
    assert await facts.listing(APP, digest("layer"), 8) == Listing((fact.digest,))


async def test_parents_are_found_newest_first_within_the_limit(facts: Facts) -> None:
    for name in ("one", "two", "three"):
        await facts.learn(manifest(name, children=("image",)))
    await facts.learn(manifest("lists it as a blob", "image"))
    newest = (digest("three"), digest("two"), digest("one"))
    assert await facts.parents(APP, digest("image"), 8) == Listing(newest)
    assert await facts.parents(APP, digest("image"), 3) == Listing(newest)
    assert await facts.parents(APP, digest("image"), 2) == Listing(newest[:2], whole=False)
    assert await facts.parents(APP, digest("image"), 2, 2) == Listing(newest[2:])
    assert await facts.parents(APP, digest("nobody's"), 8) == Listing()


async def test_listings_are_found_newest_first_within_the_limit(facts: Facts) -> None:
    names = ("one", "two", "three")
    for name in names:
        await facts.learn(manifest(name, "layer", f"config of {name}"))
    await facts.learn(manifest("lists it as a child", children=("layer",)))
    expected = tuple(digest(name) for name in reversed(names))
    assert await facts.listing(APP, digest("layer"), 8) == Listing(expected)
    assert await facts.listing(APP, digest("layer"), 1) == Listing(expected[:1], whole=False)
    assert await facts.listing(APP, digest("layer"), 8) == Listing(expected)


async def test_a_listing_grows_with_what_is_learnt(facts: Facts) -> None:
    assert await facts.listing(APP, digest("layer"), 8) == Listing()
    await facts.learn(manifest("one", "layer"))
    assert len((await facts.listing(APP, digest("layer"), 8)).digests) == 1
    await facts.learn(manifest("two", "layer"))
    assert len((await facts.listing(APP, digest("layer"), 8)).digests) == 2


async def test_what_is_forgotten_lists_nothing(facts: Facts) -> None:
    await facts.learn(manifest("index", "layer", children=("image",)))
    assert await facts.listing(APP, digest("layer"), 8) != Listing()
    await facts.forget(APP, digest("index"))
    assert await facts.manifest(APP, digest("index")) is None
    assert await facts.listing(APP, digest("layer"), 8) == Listing()
    assert await facts.parents(APP, digest("image"), 8) == Listing()
    await facts.forget(APP, digest("index"))


async def test_what_was_forgotten_can_be_learnt_again(facts: Facts) -> None:
    await facts.learn(replace(manifest("one", "layer"), artifact=True))
    await facts.learn(manifest("two", "layer"))
    await facts.forget(APP, digest("one"))
    await facts.learn(manifest("one", "layer"))
    assert await facts.listing(APP, digest("layer"), 8) == Listing((digest("one"), digest("two")))


async def test_many_learn_the_same_at_once(facts: Facts) -> None:
    fact = manifest("image", "layer", "layer")
    await asyncio.gather(*(facts.learn(fact) for _ in range(20)))
    assert await facts.listing(APP, digest("layer"), 8) == Listing((fact.digest,))


async def test_a_manifest_with_thousands_of_blobs(facts: Facts) -> None:
    fact = manifest("large", *(f"layer {n}" for n in range(3000)))
    await facts.learn(fact)
    assert await facts.manifest(APP, fact.digest) == fact
    assert await facts.listing(APP, digest("layer 2999"), 1) == Listing((fact.digest,))


async def test_what_passed_lately_comes_first_although_many_newer_ones_list_it_too(facts: Facts) -> None:
    for n in range(12):
        await facts.learn(manifest(f"image {n}", "layer"))
        await facts.learn(manifest(f"index {n}", children=("child",)))
    for late, n in enumerate((5, 1, 11)):
        await facts.passed(APP, digest(f"image {n}"), NOON + timedelta(minutes=late))
        await facts.passed(APP, digest(f"index {n}"), NOON + timedelta(minutes=late))
    await facts.passed(APP, digest("never seen"), NOON)
    await facts.passed(OTHER, digest("image 2"), NOON)
    for look, what, of in ((facts.listing, "layer", "image"), (facts.parents, "child", "index")):
        first = await look(APP, digest(what), 3)
        assert first == Listing(tuple(digest(f"{of} {n}") for n in (11, 1, 5, 10, 9)), whole=False)
        rest = await look(APP, digest(what), 3, 3)
        assert rest == Listing(tuple(digest(f"{of} {n}") for n in (8, 7, 6)), whole=False)
        assert (await look(APP, digest(what), 12)).digests[:4] == tuple(digest(f"{of} {n}") for n in (11, 1, 5, 10))


async def test_what_passed_and_is_denied_does_not_crowd_out_what_is_not(store: AnyStore, clock: FrozenClock) -> None:
    facts = store.facts
    for n in range(12):
        await facts.learn(manifest(f"image {n}", "layer"))
        await facts.passed(APP, digest(f"image {n}"), NOON + timedelta(minutes=n))
    until = NOON + timedelta(hours=1)
    for n in range(1, 10):
        await store.overrides.deny(denial(digest(f"image {n}"), name=str(n), until=until))
    assert await facts.listing(APP, digest("layer"), 2) == Listing(
        tuple(digest(f"image {n}") for n in (11, 10)), whole=False
    )
    await facts.forget(APP, digest("image 11"))
    assert (await facts.listing(APP, digest("layer"), 2)).digests == tuple(digest(f"image {n}") for n in (10, 9, 0))
    clock.advance(3600)
    assert (await facts.listing(APP, digest("layer"), 1)).digests == (digest("image 10"),)


async def test_that_it_passed_is_forgotten_with_it_and_not_learnt(facts: Facts) -> None:
    await facts.learn(manifest("one", "layer"))
    await facts.learn(manifest("two", "layer"))
    await facts.passed(APP, digest("one"), NOON)
    await facts.learn(replace(manifest("one", "layer"), artifact=False))
    assert (await facts.listing(APP, digest("layer"), 8)).digests == (digest("one"), digest("two"))
    await facts.forget(APP, digest("one"))
    await facts.learn(manifest("one", "layer"))
    await facts.learn(manifest("two again", "layer"))
    assert (await facts.listing(APP, digest("layer"), 1)).digests == (digest("two again"),)
    await facts.passed(APP, digest("one"), NOON)
    assert (await facts.listing(APP, digest("layer"), 1)).digests == (digest("one"), digest("two again"))


async def test_ancestors_are_found_however_many_there_are_on_the_way(facts: Facts) -> None:
    await facts.learn(manifest("outer", children=("inner",)))
    await facts.learn(manifest("outmost", children=("outer",)))
    await facts.learn(manifest("inner", children=("image",)))
    await facts.learn(manifest("lists it as a blob", "image"))
    for n in range(150):
        await facts.learn(manifest(f"junk {n}", children=("image",)))
    junk = {digest(f"junk {n}") for n in range(150)}
    found = await facts.ancestors(APP, digest("image"), 1000)
    assert found == junk | {digest(name) for name in ("inner", "outer", "outmost")}
    assert len(await facts.ancestors(APP, digest("image"), 99)) == 100
    assert await facts.ancestors(APP, digest("outmost"), 1000) == frozenset()
    assert await facts.ancestors(OTHER, digest("image"), 1000) == frozenset()


async def test_an_ancestor_counts_once_whatever_the_ways_up_to_it(facts: Facts) -> None:
    levels = [("image",), *(tuple(f"{n} of {level}" for n in range(8)) for level in range(6))]
    for below, level in itertools.pairwise(levels):
        for name in level:
            await facts.learn(manifest(name, children=below))
    await facts.learn(manifest("all", children=tuple(name for level in levels for name in level)))
    assert len(await facts.ancestors(APP, digest("image"), 49)) == 49
