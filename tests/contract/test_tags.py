"""Tags: a row is the fact where a tag points, and the lock for moving it."""

import asyncio
from dataclasses import replace

import pytest

from proxy.oci.reference import Digest, Tag
from proxy.registry.ports.facts import Tags
from proxy.trust.fact import HELD_S, Hold, TagFact
from tests.contract.conftest import AnyStore
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.stored import APP, OTHER, digest, manifest
from tests.worlds.tags import MemoryTags

V1, V2, LATEST = Tag("v1"), Tag("v2"), Tag("latest")
ONE, TWO = digest("one"), digest("two")


@pytest.fixture
def tags(store: AnyStore) -> Tags:
    if isinstance(store.tags, MemoryTags):
        store.tags.sole = False
    return store.tags


def points(tag: Tag, to: Digest | None, *, moving_to: Digest | None = None, by: str = "ann") -> TagFact:
    return TagFact(APP, tag, to, NOON, by, "password", moving_to)


async def taken(tags: Tags, *names: Tag, by: str = "h1", to: Digest | None = None) -> Hold:
    hold = await tags.take(APP, names, by, {} if to is None else dict.fromkeys(names, to))
    assert hold is not None
    return hold


async def moved(tags: Tags, tag: Tag, to: Digest) -> TagFact:
    fact = points(tag, to)
    assert await tags.give_back(await taken(tags, tag, to=to), [fact])
    return fact


async def test_what_was_given_back_is_found_whole(tags: Tags) -> None:
    assert await tags.find(APP, [V1]) == {}
    fact = await moved(tags, V1, ONE)
    assert await tags.find(APP, [V1, V2]) == {V1: fact}
    assert await tags.find(OTHER, [V1]) == {}
    hold = await taken(tags, V1, V2)
    assert hold.rows == {V1: fact}
    assert hold.tags == (V1, V2)


async def test_all_tags_are_held_or_none(tags: Tags) -> None:
    hold = await taken(tags, V1, V2)
    assert await tags.take(APP, [V2, LATEST], "h2", {}) is None
    other = await taken(tags, LATEST, by="h3")
    assert await tags.take(OTHER, [V1], "h4", {}) is not None
    assert await tags.give_back(hold, [])
    assert await tags.give_back(other, [])
    assert await tags.take(APP, [V1, V2, LATEST], "h5", {}) is not None


async def test_of_fifty_at_once_one_holds_the_tag(tags: Tags) -> None:
    tries = await asyncio.gather(*(tags.take(APP, [V1, V2], f"h{n}", {}) for n in range(50)))
    assert len([hold for hold in tries if hold is not None]) == 1


async def test_a_lock_that_says_nothing_leaves_no_row(tags: Tags) -> None:
    await tags.give_back(await taken(tags, V1, to=ONE), [points(V1, None)])
    assert await tags.find(APP, [V1]) == {}
    await moved(tags, V1, ONE)
    await tags.give_back(await taken(tags, V1), [points(V1, None)])
    assert await tags.find(APP, [V1]) == {}


async def test_a_move_that_nobody_finished_is_found(tags: Tags, clock: FrozenClock) -> None:
    await moved(tags, V2, ONE)
    hold = await taken(tags, V1, V2, to=ONE)
    await tags.begin(hold, dict.fromkeys((V1, V2), ONE))
    await tags.begun(hold)
    assert await tags.unfinished(10) == ()
    assert (await tags.find(APP, [V1]))[V1].moving_to == ONE
    assert (await tags.find(APP, [V2]))[V2].moving_to is None, "it points there already"
    await tags.give_back(hold, [points(V1, None, moving_to=ONE), points(V2, ONE)])
    assert [(fact.tag, fact.digest, fact.moving_to) for fact in await tags.unfinished(10)] == [(V1, None, ONE)]
    await tags.give_back(await taken(tags, V1), [points(V1, ONE)])
    assert await tags.unfinished(10) == ()


async def test_what_did_not_move_is_as_it_was(tags: Tags) -> None:
    before = await moved(tags, V1, ONE)
    hold = await taken(tags, V1, to=TWO)
    await tags.begin(hold, {V1: TWO})
    await tags.begun(hold)
    await tags.give_back(hold, [before])
    assert await tags.find(APP, [V1]) == {V1: before}
    assert await tags.unfinished(10) == ()


async def test_who_is_silent_for_too_long_loses_the_tag_and_writes_nothing_afterwards(
    tags: Tags, clock: FrozenClock
) -> None:
    if tags.sole:
        pytest.skip("a process that is the only one ends its own holds")
    old = await taken(tags, V1, V2, to=ONE)
    clock.advance(HELD_S - 1)
    assert await tags.renew(old)
    clock.advance(HELD_S - 1)
    assert await tags.take(APP, [V1], "h2", {}) is None
    clock.advance(2)
    assert [fact.tag for fact in await tags.unfinished(10)] == [V1, V2]
    new = await taken(tags, V1, by="h2", to=TWO)
    assert new.rows[V1].moving_to == ONE, "who takes over sees what was under way"
    assert not await tags.renew(old)
    assert not await tags.give_back(old, [points(V1, ONE), points(V2, ONE)])
    assert await tags.give_back(new, [points(V1, TWO, by="bob")])
    assert (await tags.find(APP, [V1]))[V1] == points(V1, TWO, by="bob")


async def test_a_hold_by_a_clock_that_was_put_back_since_is_over(tags: Tags, clock: FrozenClock) -> None:
    if tags.sole:
        pytest.skip("a process that is the only one ends its own holds")
    await taken(tags, V1)
    clock.advance(-3600)
    assert await tags.take(APP, [V1], "h2", {}) is not None


async def test_what_was_seen_upstream_never_replaces_what_is_known(tags: Tags) -> None:
    seen = replace(points(V1, ONE), by="", how="upstream")
    await tags.learn(seen)
    assert await tags.find(APP, [V1]) == {V1: seen}
    await tags.learn(replace(seen, digest=TWO))
    assert await tags.find(APP, [V1]) == {V1: seen}
    hold = await taken(tags, V2)
    await tags.learn(replace(seen, tag=V2))
    await tags.give_back(hold, [points(V2, None)])
    assert await tags.find(APP, [V2]) == {}


async def test_what_was_deleted_is_pointed_at_by_nothing(tags: Tags) -> None:
    for tag, to in ((V1, ONE), (LATEST, ONE), (V2, TWO)):
        await moved(tags, tag, to)
    assert await tags.gone(OTHER, ONE, nothing_stays) == ()
    assert await tags.gone(APP, ONE, lambda tag: tag == V1) == (LATEST, V1)
    assert set(await tags.find(APP, [V1, V2, LATEST])) == {V1, V2}, "what is never moved stays known"
    assert await tags.gone(APP, ONE, nothing_stays) == (V1,)
    assert set(await tags.find(APP, [V1, V2, LATEST])) == {V2}


def nothing_stays(_tag: Tag) -> bool:
    return False


async def test_unfinished_moves_are_told_in_parts(tags: Tags, clock: FrozenClock) -> None:
    for tag in (V2, V1):
        await tags.give_back(await taken(tags, tag), [replace(points(tag, None, moving_to=ONE), at=clock.now())])
    clock.advance(1)
    await tags.give_back(await taken(tags, LATEST), [replace(points(LATEST, None, moving_to=ONE), at=clock.now())])
    told, last = [], None
    while found := await tags.unfinished(1, last):
        last = found[-1]
        told.append(last.tag)
    assert told == [V1, V2, LATEST]


async def test_tags_above_a_child_and_a_layer_are_found_at_every_level(tags: Tags, store: AnyStore) -> None:
    await store.facts.learn(manifest("leaf", "layer", "config"))
    await store.facts.learn(manifest("inner", children=("leaf",)))
    await store.facts.learn(manifest("outer", children=("inner", "else")))
    await store.facts.learn(manifest("stranger", "layer", repository=OTHER))
    await moved(tags, V1, digest("outer"))
    await moved(tags, V2, digest("leaf"))
    await moved(tags, LATEST, TWO)
    for below, depth, expected in (
        ("layer", 3, {V1, V2}), ("config", 2, {V2}), ("leaf", 2, {V1, V2}), ("leaf", 1, {V2}), ("outer", 3, {V1}),
        ("else", 3, {V1}), ("nothing", 3, set()),
    ):  # fmt: skip
        assert set(await tags.above(APP, digest(below), depth, 10)) == expected, (below, depth)
    assert len(await tags.above(APP, digest("layer"), 3, 1)) == 1
    hold = await taken(tags, LATEST, to=digest("inner"))
    await tags.begin(hold, {LATEST: digest("inner")})
    await tags.begun(hold)
    assert set(await tags.above(APP, digest("layer"), 3, 10)) == {V1, V2, LATEST}, "it may point there already"
