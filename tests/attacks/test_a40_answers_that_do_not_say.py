"""Attack 40: answers that do not say what became of a tag, deletions beside a push, moves that nobody can finish."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import DeleteManifest, PushManifest
from proxy.oci.reference import parse_repository, parse_tag
from proxy.registry.signing.retag import PART, finish_all
from proxy.trust.fact import Hold, TagFact
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import REPO, SIGN, World, user, world
from tests.worlds.images import image
from tests.worlds.named import missing, names, wrong
from tests.worlds.registry import Said, Seen, error
from tests.worlds.rights import TableRights

APP, OLD = image("app"), image("old")
V1 = parse_tag("v1")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
@pytest.mark.parametrize("sole", [True, False])
async def test_a_tag_that_moved_although_upstream_said_it_failed_is_signed_for(status: int, sole: bool) -> None:
    w = await world()
    w.store.tags.sole = sole
    await w.push(OLD, "team/app", "v1")
    await w.ports.cache.settle()

    def lie(seen: Seen, said: Said) -> Said:
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == "v1":
            return error(status, "UNKNOWN")
        return said

    w.registry.lies.append(lie)
    try:
        got = (await w.push(APP, "team/app", "v1")).status
    except (Fault, Unavailable) as f:
        got = getattr(f, "status", 503)
    w.registry.lies.clear()
    await w.ports.cache.settle()
    await finish_all(w.ports)
    assert got == 201
    assert w.tag("team/app", "v1") == APP.digest
    assert wrong(w) == []
    assert missing(w) == []
    assert (await w.store.tags.find(REPO, [V1]))[V1].digest == APP.digest


async def test_a_deletion_beside_a_push_frees_no_immutable_tag() -> None:
    w = await world(Policy(("**",), PushRules(immutable_tags=("v*",))))
    reached, go = asyncio.Event(), asyncio.Event()

    async def pause(seen: Seen) -> None:
        if isinstance(seen.operation, DeleteManifest):
            reached.set()
            await go.wait()

    w.registry.pause = pause
    deleting = asyncio.create_task(w.say(DeleteManifest(REPO, APP.digest)))
    await asyncio.wait_for(reached.wait(), 5)
    pushing = asyncio.create_task(w.push(APP, "team/app", "v1"))
    await asyncio.wait({pushing}, timeout=1)
    go.set()
    await deleting
    assert (await pushing).status == 201
    with pytest.raises(Fault):
        await w.push(OLD, "team/app", "v1")


@pytest.mark.parametrize("status", [500, 504, 429, 0])
async def test_a_tag_that_went_although_upstream_said_it_failed_is_named_by_no_signature(status: int) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await w.ports.cache.settle()

    def lie(seen: Seen, said: Said) -> Said:
        if isinstance(seen.operation, DeleteManifest):
            if status == 0:
                raise Unavailable("upstream: connection reset")
            return error(status, "UNKNOWN")
        return said

    w.registry.lies.append(lie)
    with suppress(Fault, Unavailable):
        await w.say(DeleteManifest(REPO, V1))
    w.registry.lies.clear()
    await w.ports.cache.settle()
    assert w.tag("team/app", "v1") is None
    assert wrong(w) == []
    assert names(w, APP.digest) == []


@pytest.mark.parametrize("sole", [True, False])
async def test_who_may_not_delete_holds_no_tag(sole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world(
        Policy(("**",), PushRules(("release",), allow=("ci",)), SIGN.pull), rights=TableRights(frozenset({"ci", "bob"}))
    )
    w.store.tags.sole = sole
    w.put_behind(APP, "team/app", "v1")
    takes: list[object] = []
    real = w.store.tags.take

    async def take(*asked: Any) -> Hold | None:
        takes.append(asked[1])
        return await real(*asked)

    monkeypatch.setattr(w.store.tags, "take", take)
    with pytest.raises(Fault):
        await w.say(DeleteManifest(REPO, V1), user("bob"))
    with pytest.raises(Fault):
        await w.say(DeleteManifest(REPO, APP.digest), user("bob"))
    assert takes == []


async def left(w: World, fact: TagFact) -> None:
    """Leave a move behind that nobody finished."""
    hold = await w.store.tags.take(fact.repository, [fact.tag], "h", {})
    assert hold is not None
    await w.store.tags.give_back(hold, [fact])


async def test_moves_that_nobody_can_finish_keep_no_other_waiting() -> None:
    w = await world()
    bad = parse_repository("team/gone")
    for n in range(PART + 5):
        await left(w, TagFact(bad, parse_tag(f"t{n}"), None, w.store.clock.now(), moving_to=OLD.digest))
    w.store.clock.advance(1)
    await w.push(APP, "team/app", "v1")
    await w.ports.cache.settle()
    await left(w, replace((await w.store.tags.find(REPO, [V1]))[V1], moving_to=OLD.digest))

    def hook(seen: Seen) -> Said | None:
        return error(401, "UNAUTHORIZED") if getattr(seen.operation, "repository", "") == bad else None

    w.registry.hooks.append(hook)
    for _ in range(3):
        await finish_all(w.ports)
    assert [f.tag for f in await w.store.tags.unfinished(1000) if f.repository == REPO] == []
