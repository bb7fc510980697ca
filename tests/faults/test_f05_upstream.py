"""Fault 5: upstream throttles, breaks, resets, stalls and loses. What is not known is not called done."""

from __future__ import annotations

import asyncio

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import (
    FinishUpload,
    ListReferrers,
    Operation,
    PullBlob,
    PullManifest,
    PushManifest,
    StartUpload,
)
from proxy.oci.reference import fallback_tag, parse_reference, signature_tag
from proxy.trust.ledger import Stage
from tests.worlds.conversation import REPO, World, world
from tests.worlds.crash import restarted
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry, Said, Seen, error

APP = image("app")
SIG = signature_tag(APP.digest)


async def ready(*, referrers: bool = False) -> World:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    return w


def at(w: World, step: int, status: int, *, lost_answer: bool = False) -> None:
    """Let the request of this number fail; `lost_answer`: it is done, but nobody hears so."""
    count = 0

    def hook(seen: Seen) -> Said | None:
        nonlocal count
        count += 1
        if count != step + 1:
            return None
        if lost_answer:
            w.registry.answer(seen)
        if status == 0:
            raise Unavailable("upstream: connection reset")
        return error(status, "TOOMANYREQUESTS" if status == 429 else "UNKNOWN")

    w.registry.hooks.append(hook)


async def attempt(w: World) -> int:
    try:
        return (await w.push(APP, "team/app", "v1")).status
    except Fault as fault:
        assert fault.reason in {"not_signed", None}
        return fault.status


def bundled(w: World) -> bool:
    """True when the bundle is upstream, and listed where upstream lists nothing by itself."""
    there = any(b'"subject"' in body for _, body in w.registry.shelf("team/app").manifests.values())
    return there and (w.registry.referrers or w.tag("team/app", fallback_tag(APP.digest)) is not None)


@pytest.mark.parametrize(("status", "lost"), [(429, False), (500, False), (503, False), (0, False), (0, True)])
@pytest.mark.parametrize("referrers", [True, False])
async def test_at_every_request_of_a_push(status: int, lost: bool, referrers: bool) -> None:
    w = await ready(referrers=referrers)
    await w.push(APP, "team/app", "v1")
    steps = len(w.registry.seen)
    for step in range(steps):
        w = await ready(referrers=referrers)
        at(w, step, status, lost_answer=lost)
        said = await attempt(w)
        assert said in {201, 403, 429, 500, 503}
        if w.tag("team/app", "v1") is not None:
            assert bundled(w), "a tag moved to an image that nothing had signed"
        if said == 201:
            assert w.tag("team/app", SIG) is not None, "acknowledged before what names the tag was attached"
        w.registry.hooks.clear()
        assert await attempt(w) == 201
        assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.ATTACHED}
        assert len(w.signer.made) == 3
        assert (await restarted(w).pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("kind", [StartUpload, FinishUpload, PushManifest, PullManifest])
async def test_as_long_as_it_lasts(kind: type[Operation]) -> None:
    w = await ready()
    w.registry.single_post = kind is not FinishUpload
    w.registry.fail(kind, 503, times=1000)
    assert await attempt(w) in {403, 503}
    assert w.tag("team/app", "v1") is None
    w.registry.hooks.clear()
    assert await attempt(w) == 201


async def test_a_referrers_api_that_fails_while_pushing_and_pulling() -> None:
    w = await ready(referrers=True)
    w.registry.referrers_down = True
    assert await attempt(w) == 403
    w.registry.referrers_down = False
    assert await attempt(w) == 201
    w.registry.fail(ListReferrers, 500, times=100)
    w.store.clock.advance(120)
    assert (await w.pull("team/app", "v1")).status == 200  # our own copies need no referrers


async def test_a_slow_place_is_given_up_after_its_deadline_and_not_called_empty() -> None:
    w = await world(limits=Limits(tag_age_s=0, gather_deadline_s=0.05))
    w.put_behind(APP, "team/app", "v1")

    async def stalls(seen: Seen) -> None:
        if isinstance(seen.operation, ListReferrers):
            await asyncio.sleep(30)

    w.registry.pause = stalls
    async with asyncio.timeout(5):
        assert await w.blocked("team/app", "v1") == "not_verifiable"


async def test_a_blob_that_breaks_off_is_relayed_as_broken() -> None:
    w = await ready()
    await w.push(APP, "team/app", "v1")
    w.registry.cuts[PullBlob] = 5
    answer = await w.blob("team/app", f"sha256:{next(iter(w.registry.shelf('team/app').blobs))[7:]}")
    assert answer.relayed is not None
    with pytest.raises(Unavailable):
        async for _ in answer.relayed.stream():
            pass


@pytest.mark.parametrize("referrers", [True, False])
async def test_a_signature_that_upstream_lost_is_put_back_from_our_copy(referrers: bool) -> None:
    w = await ready(referrers=referrers)
    await w.push(APP, "team/app", "v1")
    shelf = w.registry.shelf("team/app")
    tags, manifests = dict(shelf.tags), dict(shelf.manifests)
    shelf.tags = {"v1": APP.digest}
    shelf.manifests = {APP.digest: manifests[APP.digest]}
    w = restarted(w)
    w.store.clock.advance(3600)
    assert (await w.pull("team/app", "v1")).body == APP.body
    await w.ports.cache.settle()
    assert shelf.tags == tags
    assert shelf.manifests == manifests
    assert EventKind.SIGNATURE_REPAIRED in w.store.journal.kinds()
    assert len(w.signer.made) == 3


async def test_what_cannot_be_put_back_is_on_the_record_and_pulls_go_on() -> None:
    w = await ready()
    await w.push(APP, "team/app", "v1")
    shelf = w.registry.shelf("team/app")
    shelf.tags = {"v1": APP.digest}
    w.registry.fail(PushManifest, 403, times=100)
    w.store.clock.advance(3600)
    assert (await w.pull("team/app", "v1")).body == APP.body
    await w.ports.cache.settle()
    assert EventKind.SIGNATURE_LOST in w.store.journal.kinds()


async def test_an_upstream_that_says_no_digest_on_head() -> None:
    """distribution-spec 1.1 only recommends the header."""
    w = await ready()

    def bare(_: Seen, said: Said) -> Said:
        return Said(said.status, tuple((k, v) for k, v in said.headers if k != "docker-content-digest"), said.body)

    w.registry.lies.append(bare)
    assert await attempt(w) == 201
    assert (await w.pull("team/app", "v1")).body == APP.body
    assert (await w.say(PullManifest(REPO, parse_reference("v1"), head=True))).status == 200
