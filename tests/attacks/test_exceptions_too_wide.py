"""Attacks on exceptions: another repository, another image, a moved tag, after its end, by a remembered verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.journal.event import EventKind
from proxy.oci.operation import StartUpload
from proxy.oci.reference import Digest, digest_of, parse_repository
from proxy.overrides import exceptions
from proxy.trust import explain
from proxy.trust.actor import Actor
from proxy.trust.requirement import Outcome
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.denials import denied
from tests.worlds.images import image, index
from tests.worlds.orders import exception

APP, OTHER = image("app"), image("other")
MANY = index(APP, OTHER)
LAYER = digest_of(APP.blobs[1])


async def opened(digest: Digest | None = None, repositories: str = "team/app", name: str = "e1") -> World:
    """A proxy with one unsigned image in two repositories, and an exception."""
    w = await world()
    for repository in ("team/app", "other/app"):
        w.put_behind(APP, repository, "1")
        w.put_behind(OTHER, repository, "2")
    await w.store.overrides.keep(exception(repositories, digest, name=name))
    return w


async def test_what_it_is_for_is_let_through_loudly_and_stays_failed() -> None:
    w = await opened()
    answer = await w.pull("team/app", "1")
    assert answer.status == 200
    assert answer.warning is not None
    assert "is let through by exception e1 until 2026-01-02T14:00:00Z (the incident of noon)" in answer.warning
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.PULL_EXCEPTED]
    assert (row.reason, row.detail["exception"]) == ("unsigned", "e1")
    decision = w.store.journal.decisions[row.decision_id]
    assert decision.outcome is Outcome.FAILED
    assert decision.allowed
    assert explain.from_json(explain.as_json(decision)) == decision
    text = explain.text(decision, "countersign", "https://proxy.example")
    assert "[NO] signed by release: no signature was found" in text
    assert "but is let through by exception e1 until" in text
    assert (await w.blob("team/app", LAYER)).status == 200


async def test_a_signed_image_needs_none_and_says_nothing() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await w.store.overrides.keep(exception())
    assert (await w.pull("team/app", "1")).warning is None
    assert EventKind.PULL_EXCEPTED not in w.store.journal.kinds()


async def test_another_repository() -> None:
    w = await opened()
    await denied(w, lambda: w.pull("other/app", "1"), "unsigned")
    await denied(w, lambda: w.blob("other/app", LAYER), "unlisted_blob")


async def test_another_image_and_its_layers() -> None:
    w = await opened(APP.digest)
    assert (await w.pull("team/app", "1")).status == 200
    assert (await w.blob("team/app", LAYER)).status == 200
    await denied(w, lambda: w.pull("team/app", "2"), "unsigned")
    await denied(w, lambda: w.blob("team/app", digest_of(OTHER.blobs[1])), "unlisted_blob")


async def test_a_tag_that_moved_to_another_image() -> None:
    w = await opened(APP.digest)
    assert (await w.pull("team/app", "1")).status == 200
    w.put_behind(OTHER, "team/app", "1")
    await denied(w, lambda: w.pull("team/app", "1"), "unsigned")


async def test_an_index_means_what_it_lists_and_a_child_nothing_else() -> None:
    w = await world()
    w.put_behind(MANY, "team/app", "1")
    await w.store.overrides.keep(exception(digest=MANY.digest))
    for reference in ("1", APP.digest, OTHER.digest):
        assert (await w.pull("team/app", reference)).status == 200
    assert (await w.blob("team/app", LAYER)).status == 200
    w = await world()
    w.put_behind(MANY, "team/app", "1")
    await w.store.overrides.keep(exception(digest=APP.digest))
    await denied(w, lambda: w.pull("team/app", "1"), "unsigned")
    await denied(w, lambda: w.pull("team/app", OTHER.digest), "unsigned")


async def test_an_excepted_index_verifies_nothing_for_others() -> None:
    """What it lists is let through by the exception, never "because its parent is allowed"."""
    w = await world()
    w.put_behind(MANY, "team/app", "1")
    await w.store.overrides.keep(exception())
    await w.pull("team/app", "1")
    await w.pull("team/app", APP.digest)
    assert all(d.outcome is Outcome.FAILED for d in w.store.journal.decisions.values())
    w.store.clock.advance(2 * 3600)
    await denied(w, lambda: w.pull("team/app", APP.digest), "unsigned")


@pytest.mark.parametrize("digest", [None, APP.digest])
async def test_after_its_end_and_after_it_was_closed(digest: Digest | None) -> None:
    w = await opened(digest)
    w.store.clock.advance(2 * 3600 - 1)
    assert (await w.pull("team/app", "1")).status == 200
    w.store.clock.advance(1)
    await denied(w, lambda: w.pull("team/app", "1"), "unsigned")
    await denied(w, lambda: w.blob("team/app", LAYER), "unlisted_blob")
    await w.store.overrides.keep(exception(name="e2", digest=digest, opened=w.store.clock.now()))
    assert (await w.pull("team/app", "1")).status == 200
    await exceptions.close("e2", Actor("ann", "socket", "done"), w.ports)
    await denied(w, lambda: w.pull("team/app", "1"), "unsigned")


async def test_its_end_while_the_answer_was_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await opened()
    decided = w.store.journal.decided

    async def slow(*given: object, **more: object) -> None:
        w.store.clock.advance(2 * 3600)
        await decided(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(w.store.journal, "decided", slow)
    assert await w.blocked("team/app", "1") == "unsigned"


async def test_a_clock_that_is_set_back() -> None:
    w = await opened()
    w.store.clock.advance(2 * 3600)
    assert await w.blocked("team/app", "1") == "unsigned"
    w.store.clock.advance(-3600)
    assert await w.blocked("team/app", "1") == "unsigned"


async def test_a_push_needs_its_signature_all_the_same() -> None:
    w = await world()
    await w.store.overrides.keep(exception())
    await w.push(APP, "team/app", "1")
    assert await w.store.ledger.entries(REPO, APP.digest)


async def test_mounting_a_layer_of_what_is_let_through_in_one_repository_into_another_only_there() -> None:
    w = await opened()
    wrong = StartUpload(parse_repository("mine/app"), mount=LAYER, source=parse_repository("other/app"))
    assert (await w.say(wrong)).status == 202


async def test_in_warn_mode_it_changes_nothing() -> None:
    w = await world(replace(SIGN, pull=replace(SIGN.pull, mode="warn")))
    w.put_behind(APP, "team/app", "1")
    await w.store.overrides.keep(exception())
    await w.pull("team/app", "1")
    assert w.store.journal.kinds()[-1] is EventKind.PULL_WARNED
