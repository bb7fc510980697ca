from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import ListReferrers, PullManifest
from proxy.oci.reference import signature_tag
from proxy.registry.judging.gather import gather
from proxy.registry.request import Request
from proxy.trust.evidence import CouldNotLook, Evidence, NotExamined, Source, SourceResult
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import image
from tests.worlds.registry import Said
from tests.worlds.softkey import soft_key

APP = image("app")
KEY = soft_key(name="partner")
ABOUT = Descriptor(APP.media_type, APP.digest, len(APP.body))


async def scene(limits: Limits | None = None) -> World:
    w = await world(trusted=(trusted(KEY),), limits=limits)
    w.put_behind(APP, "team/app")
    put_sig(w.registry, "team/app", APP.digest, KEY.layer("cosign-simple", APP.digest))
    put_bundle(w, "team/app", ABOUT, KEY.layer("sigstore-bundle", APP.digest))
    return w


async def look(w: World, *, enough: int = 99) -> Evidence:
    ring = w.store.keybook.ring()
    return await gather(REPO, APP.digest, ring, lambda e: len(e.verified) >= enough, Request(ANYBODY, "r"), w.ports)


async def test_our_own_copies_then_sig_then_referrers() -> None:
    w = await scene()
    evidence = await look(w)
    assert [p.place for p in evidence.sources] == [Source.LEDGER, Source.SIG_TAG, Source.REFERRERS]
    assert {v.format for v in evidence.verified} == {"cosign-simple", "sigstore-bundle"}
    assert not evidence.silence


async def test_no_further_than_is_enough() -> None:
    w = await scene()
    evidence = await look(w, enough=1)
    assert [p.place for p in evidence.sources] == [Source.LEDGER, Source.SIG_TAG]
    assert w.registry.count(ListReferrers) == 0


async def test_our_own_copies_cost_upstream_nothing() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    seen = len(w.registry.seen)
    assert [p.place for p in (await look(w, enough=1)).sources] == [Source.LEDGER]
    assert len(w.registry.seen) == seen


async def test_a_copy_of_ours_that_was_altered_does_not_count() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    rows = w.store.ledger.rows
    for key, entry in rows.items():
        rows[key] = replace(entry, message=entry.message.replace(b"sha256", b"sha257"))
    evidence = await look(w, enough=1)
    ours = evidence.sources[0]
    assert isinstance(ours, SourceResult)
    assert not [f for f in ours.findings if f in evidence.verified]


async def test_each_place_can_be_silent_by_itself() -> None:
    w = await scene()
    w.registry.fail(PullManifest, 503)
    evidence = await look(w)
    assert [type(p) for p in evidence.sources] == [SourceResult, CouldNotLook, SourceResult]
    assert len(evidence.verified) == 1


@pytest.mark.parametrize("size", [5 << 20])
async def test_more_than_is_read_is_not_examined(size: int) -> None:
    w = await scene()
    tag = signature_tag(APP.digest)
    huge = Said(200, (("content-type", "application/json"),), bytes(size))
    w.registry.hooks.append(lambda s: huge if getattr(s.operation, "reference", "") == tag else None)
    assert NotExamined(Source.SIG_TAG, 1) in (await look(w)).sources


async def test_beyond_the_bound_is_counted() -> None:
    w = await scene(Limits(tag_age_s=0, signatures_per_digest=2))
    layers = [soft_key().layer("cosign-simple", APP.digest, f"r/{n}") for n in range(5)]
    put_sig(w.registry, "team/app", APP.digest, *layers)
    assert NotExamined(Source.SIG_TAG, 3) in (await look(w)).sources
