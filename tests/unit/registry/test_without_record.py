"""The store is away: what an exception made on the host lets through, what no other does, and what is caught up."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Unavailable
from proxy.oci.reference import digest_of
from proxy.trust.requirement import Outcome
from tests.worlds.conversation import REPO, World, world
from tests.worlds.denials import denied
from tests.worlds.images import image, index
from tests.worlds.orders import denial, exception

APP, OTHER = image("app"), image("other")
LAYER = digest_of(APP.blobs[1])


async def away(*_: object, **__: object) -> None:
    raise Unavailable("store: gone")


def without_store(w: World, m: pytest.MonkeyPatch) -> None:
    for name in ("learn", "manifest", "parents", "ancestors", "listing"):
        m.setattr(w.store.facts, name, away)
    for name in ("entries", "find"):
        m.setattr(w.store.ledger, name, away)


async def planted() -> World:
    w = await world()
    w.put_behind(APP, "team/app", "1")
    return w


async def test_an_image_nobody_knows_and_its_layers_and_they_are_learned_later(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await planted()
    await w.store.overrides.keep(exception(digest=APP.digest, offline=True))
    with monkeypatch.context() as m:
        without_store(w, m)
        answer = await w.pull("team/app", "1")
        assert (answer.status, answer.body) == (200, APP.body)
        assert (await w.blob("team/app", LAYER)).status == 200
        decision = list(w.store.journal.decisions.values())[-1]
        assert (decision.outcome, decision.reason) == (Outcome.INCONCLUSIVE, "not_verifiable")
    assert await w.store.facts.manifest(REPO, APP.digest) is None
    assert (await w.pull("team/app", "1")).status == 200
    assert await w.store.facts.manifest(REPO, APP.digest) is not None


async def test_an_index_and_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    w, many = await world(), index(APP, OTHER)
    w.put_behind(many, "team/app", "1")
    await w.store.overrides.keep(exception(digest=many.digest, offline=True))
    without_store(w, monkeypatch)
    for reference in ("1", APP.digest):
        assert (await w.pull("team/app", reference)).status == 200
    assert (await w.blob("team/app", LAYER)).status == 200


async def test_not_with_an_exception_that_the_record_was_there_for(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await planted()
    await w.store.overrides.keep(exception())
    without_store(w, monkeypatch)
    await denied(w, lambda: w.pull("team/app", "1"), "not_verifiable")


async def test_not_in_another_repository_nor_what_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await planted()
    w.put_behind(APP, "other/app", "1")
    w.put_behind(OTHER, "team/app", "2")
    await w.store.overrides.keep(exception(offline=True))
    await w.store.overrides.deny(denial(OTHER.digest))
    without_store(w, monkeypatch)
    await denied(w, lambda: w.pull("other/app", "1"), "not_verifiable")
    await denied(w, lambda: w.pull("team/app", "2"), "denied_digest")
    assert (await w.blob("team/app", LAYER)).status == 200


async def test_signed_with_a_signature_upstream_it_still_needs_no_exception_to_be_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await w.pull("team/app", "1")
    w.store.clock.advance(120)
    for name in ("entries", "find"):
        monkeypatch.setattr(w.store.ledger, name, away)
    assert (await w.pull("team/app", "1")).warning is None
