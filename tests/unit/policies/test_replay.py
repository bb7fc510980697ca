"""What was pulled, judged again: by both sets of policies, from real evidence, writing nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Tag
from proxy.policies.impact import Effect, Judgement, PullVerdict
from proxy.policies.replay import replay, supposing
from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Request
from proxy.trust.policy import Policy, PolicySet
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen

WARN = replace(SIGN, pull=replace(SIGN.pull, mode="warn"))
OURS = Request(Credential(ours=True), "r")


async def judged(w: World, *policies: Policy, seconds: float = 60) -> tuple[Judgement, ...]:
    pulled = await w.store.journal.pulled(w.store.clock.now(), 100)
    return await replay(pulled, PolicySet("then", policies), OURS, w.ports, seconds)


async def test_a_stricter_policy_blocks_what_is_not_signed_and_nothing_else() -> None:
    w = await world(WARN)
    w.put_behind(image("unsigned"), "team/app", "1")
    await w.push(image("signed"), "team/app", "2")
    for tag in ("1", "2"):
        await w.pull("team/app", tag)
    effects = {j.pulled.reference: j.effect for j in await judged(w, SIGN)}
    assert effects == {"1": Effect.NEWLY_BLOCKED, "2": Effect.UNCHANGED}
    assert {j.effect for j in await judged(w, WARN)} == {Effect.UNCHANGED}
    assert {j.effect for j in await judged(w)} == {Effect.NEWLY_BLOCKED}, "no policy closes"


async def test_what_was_denied_and_would_be_served_is_newly_allowed() -> None:
    w = await world(SIGN)
    w.put_behind(image("unsigned"), "team/app", "1")
    assert await w.blocked("team/app", "1") == "unsigned"
    (found,) = await judged(w, WARN)
    assert (found.effect, found.after.reason) == (Effect.NEWLY_ALLOWED, "unsigned")


async def test_a_tag_that_moved_is_judged_by_its_old_digest() -> None:
    w = await world(WARN)
    w.put_behind(image("old"), "team/app", "1")
    await w.pull("team/app", "1")
    await w.push(image("new"), "team/app", "1")
    (found,) = await judged(w, SIGN)
    assert found.effect is Effect.NEWLY_BLOCKED


async def test_silence_is_unknown_and_absence_is_gone() -> None:
    w = await world(WARN)
    digest = w.put_behind(image("one"), "team/app", "1")
    await w.pull("team/app", "1")
    shelf = w.registry.shelf("team/app")
    kept, tags = dict(shelf.manifests), dict(shelf.tags)
    shelf.manifests.pop(digest)
    shelf.tags.clear()
    assert [j.effect for j in await judged(w, SIGN)] == [Effect.GONE]
    shelf.manifests.update(kept)
    shelf.tags.update(tags)

    def refuse(_: Seen) -> Said:
        return Said(401, ())

    w.registry.hooks.append(refuse)
    (found,) = await judged(w, SIGN)
    assert (found.effect, found.after.detail) == (Effect.UNKNOWN, "the registry answered 401 to our own account")

    def asleep(_: Seen) -> Said:
        raise Unavailable("asleep")

    w.registry.hooks[:] = [asleep]
    (found,) = await judged(w, SIGN)
    assert (found.effect, found.after.standing) == (Effect.UNKNOWN, PullVerdict.UNKNOWN)

    def busy(_: Seen) -> Said:
        raise Fault("TOOMANYREQUESTS", "later")

    w.registry.hooks[:] = [busy]
    assert [j.effect for j in await judged(w, SIGN)] == [Effect.UNKNOWN]


async def test_signatures_that_cannot_be_looked_for_are_unknown_under_enforce() -> None:
    w = await world(WARN)
    w.put_behind(image("one"), "team/app", "1")
    await w.pull("team/app", "1")
    w.registry.referrers_down = True
    (found,) = await judged(w, SIGN)
    assert found.effect is Effect.UNKNOWN
    assert found.after.reason == "not_verifiable"


async def test_what_there_is_no_time_for_is_unknown() -> None:
    w = await world(WARN)
    w.put_behind(image("one"), "team/app", "1")
    await w.pull("team/app", "1")
    (found,) = await judged(w, SIGN, seconds=-1)
    assert found.effect is Effect.UNKNOWN
    assert "not judged within" in found.after.detail


async def test_nothing_is_written_or_remembered() -> None:
    w = await world(SIGN)
    await w.push(image("signed"), "team/app", "1")
    await w.pull("team/app", "1")
    w.registry.shelf("team/app").tags.pop(next(t for t in w.registry.shelf("team/app").tags if t.endswith(".sig")))
    rows, request = len(w.store.journal.events), len(w.registry.seen)
    await judged(w, WARN)
    await w.ports.cache.settle()
    assert len(w.store.journal.events) == rows
    assert {type(seen.operation).__name__[:4] for seen in w.registry.seen[request:]} <= {"Pull", "List"}
    there = supposing(PolicySet("x", ()), w.ports)
    assert there.rules.current().for_(REPO) is None
    assert w.ports.rules.current().for_(REPO) is not None
    assert there.cache is not w.ports.cache


@pytest.mark.parametrize("tag", ["1", "2"])
async def test_references_are_those_that_were_used(tag: str) -> None:
    w = await world(WARN)
    w.put_behind(image("one"), "team/app", tag)
    await w.pull("team/app", tag)
    (found,) = await judged(w, SIGN)
    assert found.pulled.reference == Tag(tag)
