import pytest

from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.registry.reading.denied_parents import denied, named_ancestors
from proxy.trust.overrides import Overrides
from tests.worlds.conversation import REPO, world
from tests.worlds.images import image, index
from tests.worlds.orders import denial

LEAF = image("leaf")
INNER = index(LEAF)
OUTER = index(INNER)


async def test_indexes_that_are_named_are_found_above_however_deep() -> None:
    w = await world()
    await w.push(OUTER, "team/app", "1")
    standing = Overrides((denial(OUTER.digest), denial(LEAF.digest, name="d2")))
    assert await named_ancestors(REPO, LEAF.digest, standing, w.ports) == {OUTER.digest}
    assert await named_ancestors(REPO, OUTER.digest, standing, w.ports) == frozenset()
    assert await named_ancestors(REPO, LEAF.digest, Overrides(), w.ports) == frozenset()


async def test_deeper_than_a_child_stands_on_its_parents_too() -> None:
    w = await world(limits=Limits(index_depth=1, tag_age_s=0))
    deep = index(index(index(OUTER)))
    await w.push(deep, "team/app", "1")
    assert await named_ancestors(REPO, LEAF.digest, Overrides((denial(deep.digest),)), w.ports) == {deep.digest}


async def test_without_the_store_what_this_process_has_seen_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()
    await w.push(INNER, "team/app", "1")
    await w.pull("team/app", "1")
    await w.store.overrides.deny(denial(INNER.digest))

    async def away(*_: object) -> None:
        raise Unavailable("store: gone")

    monkeypatch.setattr(w.store.facts, "ancestors", away)
    assert await denied(REPO, LEAF.digest, w.ports) == denial(INNER.digest)
    assert await denied(REPO, OUTER.digest, w.ports) is None
