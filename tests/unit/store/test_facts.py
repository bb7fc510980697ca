"""What is remembered of facts, and when it must not be. Behaviour: tests/contract/test_facts.py."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import event

from proxy.oci.faults import Unavailable
from proxy.store import Store
from proxy.store.facts import StoredFacts
from tests.unit.store.conftest import until
from tests.worlds.stored import APP, digest, manifest

FACT = manifest("image", "layer")


def statements(store: Store) -> list[str]:
    seen: list[str] = []
    for engine in (store._database._readers, store._database._writer):
        assert engine is not None

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def executes(connection: object, cursor: object, statement: str, *rest: object) -> None:
            seen.append(statement)

    return seen


async def test_what_is_known_costs_nothing_to_learn_or_look_up(store: Store) -> None:
    await store.facts.learn(replace(FACT, artifact=True))
    await store.facts.listing(APP, digest("layer"), 8)
    seen = statements(store)
    await store.facts.learn(FACT)
    await store.facts.learn(replace(FACT, artifact=True))
    assert await store.facts.manifest(APP, FACT.digest) == replace(FACT, artifact=True)
    assert await store.facts.listing(APP, digest("layer"), 8) == (replace(FACT, artifact=True),)
    assert seen == []


async def test_what_is_known_costs_no_write_after_a_restart_either(store: Store) -> None:
    await store.facts.learn(FACT)
    seen = statements(store)
    await StoredFacts(store._database).learn(FACT)
    assert [s.split()[0] for s in seen] == ["SELECT"]


async def test_absence_is_not_remembered(store: Store) -> None:
    assert await store.facts.manifest(APP, FACT.digest) is None
    assert await store.facts.listing(APP, digest("layer"), 8) == ()
    await StoredFacts(store._database).learn(FACT)  # as another replica would
    assert await store.facts.manifest(APP, FACT.digest) == FACT
    assert await store.facts.listing(APP, digest("layer"), 8) == (FACT,)


async def test_listings_are_not_remembered_where_others_write(store: Store) -> None:
    store._database.sole = False
    await store.facts.learn(FACT)
    assert len(await store.facts.listing(APP, digest("layer"), 8)) == 1
    await StoredFacts(store._database).learn(manifest("another", "layer"))
    assert len(await store.facts.listing(APP, digest("layer"), 8)) == 2


async def test_an_answer_under_way_while_something_is_learnt_is_not_remembered(store: Store) -> None:
    await store.facts.learn(FACT)
    for n in range(20):
        looking = asyncio.create_task(store.facts.listing(APP, digest("layer"), 100))
        await asyncio.sleep(0)
        await store.facts.learn(manifest(f"another {n}", "layer"))
        await looking
        assert len(await store.facts.listing(APP, digest("layer"), 100)) == n + 2


async def test_a_learner_who_goes_away_leaves_no_stale_listing(store: Store) -> None:
    await store.facts.learn(FACT)
    assert len(await store.facts.listing(APP, digest("layer"), 8)) == 1
    learner = asyncio.create_task(store.facts.learn(manifest("another", "layer")))
    await until(lambda: store._database._draining is not None)
    learner.cancel()
    await asyncio.gather(learner, return_exceptions=True)
    await store._database.write(lambda _: None)
    assert len(await store.facts.listing(APP, digest("layer"), 8)) == 2


async def test_a_fact_that_could_not_be_written_is_not_remembered(store: Store) -> None:
    writer, store._database._writer = store._database._writer, None
    with pytest.raises(Unavailable):
        await store.facts.learn(FACT)
    store._database._writer = writer
    assert await store.facts.manifest(APP, FACT.digest) is None


async def test_a_short_listing_does_not_answer_for_a_long_one(store: Store) -> None:
    facts = [manifest(f"image {n}", "layer") for n in range(3)]
    for fact in facts:
        await store.facts.learn(fact)
    newest = tuple(reversed(facts))
    assert await store.facts.listing(APP, digest("layer"), 1) == newest[:1]
    assert await store.facts.listing(APP, digest("layer"), 8) == newest
    seen = statements(store)
    assert await store.facts.listing(APP, digest("layer"), 2) == newest[:2]
    assert seen == []
