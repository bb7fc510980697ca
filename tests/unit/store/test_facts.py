"""What is remembered of facts, and when it must not be. Behaviour: tests/contract/test_facts.py."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from proxy.oci.faults import Unavailable
from proxy.overrides.store import DENIED
from proxy.server.store import Store
from proxy.store.facts import StoredFacts
from proxy.trust.fact import Listing
from tests.worlds.memory import NOON, FrozenClock
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
    await store.facts.passed(APP, FACT.digest, NOON)
    seen = statements(store)
    await store.facts.learn(FACT)
    await store.facts.learn(replace(FACT, artifact=True))
    assert await store.facts.manifest(APP, FACT.digest) == replace(FACT, artifact=True)
    await store.facts.passed(APP, FACT.digest, NOON + timedelta(hours=23))
    assert seen == []
    await store.facts.passed(APP, FACT.digest, NOON + timedelta(hours=24))
    assert [s.split()[0] for s in seen] == ["BEGIN", "UPDATE"]


async def test_what_is_known_costs_no_write_after_a_restart_either(store: Store) -> None:
    await store.facts.learn(FACT)
    seen = statements(store)
    await StoredFacts(store._database, FrozenClock(), DENIED).learn(FACT)
    assert [s.split()[0] for s in seen] == ["SELECT"]


async def test_absence_is_not_remembered(store: Store) -> None:
    assert await store.facts.manifest(APP, FACT.digest) is None
    assert await store.facts.listing(APP, digest("layer"), 8) == Listing()
    await StoredFacts(store._database, FrozenClock(), DENIED).learn(FACT)  # as another replica would
    assert await store.facts.manifest(APP, FACT.digest) == FACT
    assert await store.facts.listing(APP, digest("layer"), 8) == Listing((FACT.digest,))


async def test_a_fact_that_could_not_be_written_is_not_remembered(store: Store) -> None:
    writer, store._database._writer = store._database._writer, None
    with pytest.raises(Unavailable):
        await store.facts.learn(FACT)
    store._database._writer = writer
    assert await store.facts.manifest(APP, FACT.digest) is None
