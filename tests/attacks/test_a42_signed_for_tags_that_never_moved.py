"""Attack 42: signatures that name a tag are made for a tag that does not move: refused, broken off, 401, killed."""

from __future__ import annotations

from contextlib import suppress

import pytest

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor, parse
from proxy.oci.operation import DeleteManifest, PushManifest
from proxy.oci.reference import Tag, parse_tag
from proxy.registry.request import Request
from proxy.registry.signing.attach import attach
from proxy.registry.signing.repair import repair
from proxy.registry.signing.retag import finish_all
from proxy.trust.ledger import Stage
from proxy.trust.policy import Policy, PushRules
from proxy.trust.question import Resolved
from tests.worlds.conversation import ANYBODY, REPO, SIGN, World, world
from tests.worlds.crash import Killed, StepBudget, dying, restarted
from tests.worlds.images import Image, image, index
from tests.worlds.named import missing, names, wrong
from tests.worlds.registry import MemoryRegistry, Said, Seen, error

APP, OLD = image("app"), image("old")
BOTH = index(image("amd"), image("arm"))
V1, PROD = parse_tag("v1"), parse_tag("prod")
FORMATS = {
    "both": ("cosign-simple", "sigstore-bundle"),
    "simple": ("cosign-simple",),
    "bundle": ("sigstore-bundle",),
}
ANSWERS = {"refused": 403, "login": 401, "gone": 404, "redirect": 307, "failed": 500, "broken": 0}


async def scene(formats: str = "both", *, referrers: bool = True) -> World:
    policy = Policy(("**",), PushRules(("release",), FORMATS[formats]), SIGN.pull)
    return await world(policy, registry=MemoryRegistry(referrers=referrers))


def refusing(w: World, tag: str, status: int) -> None:
    """Have upstream answer so to every push of this tag; 0 breaks the connection."""

    def hook(seen: Seen) -> Said | None:
        if not isinstance(seen.operation, PushManifest) or seen.operation.reference != tag:
            return None
        if status == 0:
            raise Unavailable("upstream: connection reset")
        return error(status, "DENIED")

    w.registry.hooks.append(hook)


async def push(w: World, one: Image, *tags: Tag) -> int:
    """Push by digest, moving these tags; return the status, whatever way it was said."""
    for part in (one, *one.children):
        for blob in part.blobs:
            w.registry.put_blob("team/app", blob)
    for child in one.children:
        await push(w, child)
    try:
        answer = await w.say(PushManifest(REPO, one.digest, tags), body=one.body, content_type=one.media_type)
    except Fault as fault:
        return fault.status
    except (Unavailable, Corrupt):
        return 503
    return answer.status


async def afterwards(w: World, one: Image) -> None:
    """Everything that attaches signatures later: another push by digest, another tag, a repair, work left over."""
    await w.ports.cache.settle()
    await finish_all(w.ports)
    about = Descriptor(one.media_type, one.digest, len(one.body))
    await attach(REPO, about, Request(ANYBODY, "r"), w.ports, relist=True)
    assert await push(w, one) == 201
    assert await push(w, one, parse_tag("other")) == 201
    w.registry.shelf("team/app").tags.pop(one.digest.replace(":", "-") + ".sig", None)
    manifest = parse(one.body, one.media_type, Limits())
    await repair(REPO, Resolved(one.digest, one.media_type, one.body, manifest), Request(ANYBODY, "r"), w.ports)
    await w.ports.cache.settle()


@pytest.mark.parametrize("one", [APP, BOTH], ids=["image", "index"])
@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize("how", ANSWERS)
async def test_a_tag_that_upstream_did_not_move_is_named_by_no_signature(how: str, formats: str, one: Image) -> None:
    w = await scene(formats)
    refusing(w, "v1", ANSWERS[how])
    assert await push(w, one, V1, PROD) >= 400
    assert wrong(w) == []
    await afterwards(w, one)
    assert wrong(w) == []
    assert not [e for e in w.store.ledger.rows.values() if e.key.bound.endswith(":v1") and e.stage is Stage.ATTACHED]
    assert await w.store.tags.unfinished(9) == ()
    assert set(await w.store.tags.find(REPO, [V1, PROD])) == set()


@pytest.mark.parametrize("how", ANSWERS)
async def test_of_several_tags_those_that_moved_are_signed_for_and_the_others_are_not(how: str) -> None:
    w = await scene()
    refusing(w, "prod", ANSWERS[how])
    assert await push(w, APP, V1, PROD, parse_tag("later")) >= 400
    await w.ports.cache.settle()
    await finish_all(w.ports)
    assert (w.tag("team/app", "v1"), w.tag("team/app", "prod"), w.tag("team/app", "later")) == (APP.digest, None, None)
    assert names(w, APP.digest) == ["v1"]
    assert {tag: fact.digest for tag, fact in (await w.store.tags.find(REPO, [V1, PROD])).items()} == {V1: APP.digest}


async def test_a_tag_that_moved_although_its_answer_was_lost_is_signed_for() -> None:
    w = await scene()

    def lost(seen: Seen, said: Said) -> Said:
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == "v1":
            raise Unavailable("upstream: connection reset")
        return said

    w.registry.lies.append(lost)
    assert await push(w, APP, V1) == 201
    assert names(w, APP.digest) == ["v1"]


async def test_neither_the_answer_nor_a_look_can_be_had_and_it_is_finished_when_upstream_is_back() -> None:
    w = await scene()
    away = False

    def lost(seen: Seen, said: Said) -> Said:
        nonlocal away
        away = away or (isinstance(seen.operation, PushManifest) and seen.operation.reference == "v1")
        if away:
            raise Unavailable("upstream: connection reset")
        return said

    w.registry.lies.append(lost)
    assert await push(w, APP, V1) >= 400
    await w.ports.cache.settle()
    assert w.tag("team/app", "v1") == APP.digest
    assert names(w, APP.digest) == []
    assert [fact.moving_to for fact in await w.store.tags.unfinished(9)] == [APP.digest]
    away = False
    w.registry.lies.clear()
    await finish_all(w.ports)
    assert names(w, APP.digest) == ["v1"]
    assert await w.store.tags.unfinished(9) == ()


async def test_the_tag_is_deleted_while_its_image_is_pushed_and_no_signature_names_it_afterwards() -> None:
    w = await scene()
    assert await push(w, APP, V1) == 201
    await w.say(DeleteManifest(REPO, V1))
    await w.ports.cache.settle()
    assert names(w, APP.digest) == []
    assert await w.store.tags.find(REPO, [V1]) == {}
    assert await push(w, APP, V1) == 201
    assert names(w, APP.digest) == ["v1"]


@pytest.mark.parametrize("sole", [True, False], ids=["alone", "shared"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("formats", FORMATS)
async def test_killed_at_every_step_no_signature_names_a_tag_that_did_not_move_and_the_next_start_finishes(
    formats: str, after: bool, sole: bool
) -> None:
    budget = StepBudget()
    await dying(await scene(formats, referrers=False), budget).push(APP, "team/app", "v1")
    for left in range(budget.steps):
        w = await scene(formats, referrers=False)
        w.store.tags.sole = sole
        with suppress(Killed):
            await dying(w, StepBudget(left, after)).push(APP, "team/app", "v1")
        assert wrong(w) == []
        w = restarted(w)
        w.registry.ours = None
        await finish_all(w.ports)
        assert wrong(w) == []
        moved = w.tag("team/app", "v1") is not None
        assert names(w, APP.digest) == (["v1"] if moved and formats != "bundle" else [])
        assert await w.store.tags.unfinished(9) == ()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_while_a_tag_moves_the_next_start_leaves_one_image_signed_for_it(after: bool) -> None:
    budget = StepBudget()
    w = await scene()
    await w.push(OLD, "team/app", "v1")
    await dying(w, budget).push(APP, "team/app", "v1")
    for left in range(budget.steps):
        w = await scene()
        await w.push(OLD, "team/app", "v1")
        with suppress(Killed):
            await dying(w, StepBudget(left, after)).push(APP, "team/app", "v1")
        w = restarted(w)
        await finish_all(w.ports)
        assert wrong(w) == []
        assert missing(w) == []


async def test_both_formats_cost_no_request_more_than_one_list_written_once() -> None:
    for referrers, bound in ((True, 9), (False, 14)):
        w = await scene(referrers=referrers)
        await w.push(image("first"), "team/app", "v0")
        seen = len(w.registry.seen)
        await w.push(APP, "team/app", "v1")
        await w.ports.cache.settle()
        assert len(w.registry.seen) - seen - 1 <= bound
        sigs = [s for s in w.registry.seen[seen:] if isinstance(s.operation, PushManifest)]
        assert sum(str(s.operation.reference).endswith(".sig") for s in sigs) == 1  # type: ignore[union-attr]
