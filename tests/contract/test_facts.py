"""Facts: what lists what, forwards and backwards."""

import asyncio
from dataclasses import replace

from proxy.ports import Facts
from tests.worlds.stored import APP, OTHER, digest, manifest


async def test_a_fact_comes_back_whole(facts: Facts) -> None:
    fact = replace(manifest("index", "b", "a", "b", children=("y", "x")), subject=digest("subject"), artifact=False)
    assert await facts.manifest(APP, fact.digest) is None
    await facts.learn(fact)
    assert await facts.manifest(APP, fact.digest) == fact


async def test_a_fact_is_of_one_repository(facts: Facts) -> None:
    await facts.learn(manifest("image", "layer"))
    assert await facts.manifest(OTHER, digest("image")) is None
    assert await facts.listing(OTHER, digest("layer"), 8) == ()
    await facts.forget(OTHER, digest("image"))
    assert await facts.manifest(APP, digest("image")) is not None


async def test_an_examination_is_never_undone(facts: Facts) -> None:
    fact = manifest("image", "layer")
    await facts.learn(fact)
    await facts.learn(replace(fact, artifact=True))
    await facts.learn(fact)
    assert await facts.manifest(APP, fact.digest) == replace(fact, artifact=True)
    assert await facts.listing(APP, digest("layer"), 8) == (replace(fact, artifact=True),)


async def test_an_examination_shows_in_a_listing_already_asked_for(facts: Facts) -> None:
    fact = manifest("image", "layer")
    await facts.learn(fact)
    assert await facts.listing(APP, digest("layer"), 8) == (fact,)
    await facts.learn(replace(fact, artifact=False))
    assert await facts.listing(APP, digest("layer"), 8) == (replace(fact, artifact=False),)


async def test_parents_are_found_newest_first_within_the_limit(facts: Facts) -> None:
    for name in ("one", "two", "three"):
        await facts.learn(manifest(name, children=("image",)))
    await facts.learn(manifest("lists it as a blob", "image"))
    assert await facts.parents(APP, digest("image"), 8) == (digest("three"), digest("two"), digest("one"))
    assert await facts.parents(APP, digest("image"), 2) == (digest("three"), digest("two"))
    assert await facts.parents(APP, digest("nobody's"), 8) == ()
    one = {digest("one"), digest("elsewhere")}
    assert await facts.parents(APP, digest("image"), 2, one) == (digest("one"), digest("three"))
    assert await facts.parents(APP, digest("image"), 8, ()) == (digest("three"), digest("two"), digest("one"))


async def test_listings_are_found_newest_first_within_the_limit(facts: Facts) -> None:
    names = ("one", "two", "three")
    for name in names:
        await facts.learn(manifest(name, "layer", f"config of {name}"))
    await facts.learn(manifest("lists it as a child", children=("layer",)))
    expected = tuple(manifest(name, "layer", f"config of {name}") for name in reversed(names))
    assert await facts.listing(APP, digest("layer"), 8) == expected
    assert await facts.listing(APP, digest("layer"), 1) == expected[:1]
    assert await facts.listing(APP, digest("layer"), 8) == expected


async def test_a_listing_grows_with_what_is_learnt(facts: Facts) -> None:
    assert await facts.listing(APP, digest("layer"), 8) == ()
    await facts.learn(manifest("one", "layer"))
    assert len(await facts.listing(APP, digest("layer"), 8)) == 1
    await facts.learn(manifest("two", "layer"))
    assert len(await facts.listing(APP, digest("layer"), 8)) == 2


async def test_what_is_forgotten_lists_nothing(facts: Facts) -> None:
    await facts.learn(manifest("index", "layer", children=("image",)))
    assert await facts.listing(APP, digest("layer"), 8) != ()
    await facts.forget(APP, digest("index"))
    assert await facts.manifest(APP, digest("index")) is None
    assert await facts.listing(APP, digest("layer"), 8) == ()
    assert await facts.parents(APP, digest("image"), 8) == ()
    await facts.forget(APP, digest("index"))


async def test_what_was_forgotten_can_be_learnt_again(facts: Facts) -> None:
    await facts.learn(replace(manifest("one", "layer"), artifact=True))
    await facts.learn(manifest("two", "layer"))
    await facts.forget(APP, digest("one"))
    await facts.learn(manifest("one", "layer"))
    assert await facts.listing(APP, digest("layer"), 8) == (manifest("one", "layer"), manifest("two", "layer"))


async def test_many_learn_the_same_at_once(facts: Facts) -> None:
    fact = manifest("image", "layer", "layer")
    await asyncio.gather(*(facts.learn(fact) for _ in range(20)))
    assert await facts.listing(APP, digest("layer"), 8) == (fact,)


async def test_a_manifest_with_thousands_of_blobs(facts: Facts) -> None:
    fact = manifest("large", *(f"layer {n}" for n in range(3000)))
    await facts.learn(fact)
    assert await facts.manifest(APP, fact.digest) == fact
    assert await facts.listing(APP, digest("layer 2999"), 1) == (fact,)
