"""The main job as a conversation: what is pushed comes out signed, what is pulled satisfied the policy."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.formats.table import FORMATS
from proxy.journal.event import EventKind
from proxy.oci.operation import ListReferrers, PushManifest
from proxy.oci.reference import fallback_tag, parse_repository, signature_tag
from proxy.trust.ledger import Stage
from tests.worlds.conversation import REPO, world
from tests.worlds.images import image, index
from tests.worlds.registry import MemoryRegistry


@pytest.mark.parametrize("referrers", [True, False], ids=["api", "fallback-tag"])
async def test_a_push_comes_out_signed_and_is_pulled_by_tag_and_by_digest(referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    app = image()
    answer = await w.push(app, "team/app", "v1")
    assert answer.status == 201
    assert dict(answer.headers)["docker-content-digest"] == app.digest
    assert w.tag("team/app", "v1") == app.digest
    assert w.tag("team/app", signature_tag(app.digest)) is not None
    assert (w.tag("team/app", fallback_tag(app.digest)) is None) is referrers
    for reference in ("v1", app.digest):
        served = await w.pull("team/app", reference)
        assert served.body == app.body
        assert (await w.pull("team/app", reference, head=True)).body == b""
    entries = await w.store.ledger.entries(REPO, app.digest)
    assert sorted((e.key.format, e.key.bound) for e in entries) == [
        ("cosign-simple", "proxy.example/team/app"),
        ("cosign-simple", "proxy.example/team/app:v1"),
        ("sigstore-bundle", "proxy.example/team/app"),
    ]
    assert {e.stage for e in entries} == {Stage.ATTACHED}
    assert len(w.signer.made) == 3


async def test_an_unsigned_image_is_blocked_with_a_text_that_says_what_to_do() -> None:
    w = await world()
    w.put_behind(image("bad"), "team/app", "bad")
    assert await w.blocked("team/app", "bad") == "unsigned"
    assert await w.blocked("team/app", image("bad").digest) == "unsigned"
    assert set(w.store.journal.kinds()) == {EventKind.PULL_DENIED}


async def test_repushing_costs_no_signature_and_repairs_what_upstream_lost() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(image(), "team/app", "v1")
    made = len(w.signer.made)
    shelf = w.registry.shelf("team/app")
    before = dict(shelf.tags)
    del shelf.tags[signature_tag(image().digest)]
    await w.push(image(), "team/app", "v1")
    assert len(w.signer.made) == made
    assert shelf.tags == before


async def test_fifty_clients_pushing_one_digest_make_one_signature_each() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    answers = await asyncio.gather(*(w.push(image(), "team/app", "v1") for _ in range(50)))
    assert {a.status for a in answers} == {201}
    assert len(w.signer.made) == 3


async def test_every_child_of_an_index_is_signed_and_bound_to_the_tag() -> None:
    w = await world()
    both = index(image("amd"), image("arm", docker=True))
    await w.push(both, "team/app", "v1")
    for child in both.children:
        bounds = {e.key.bound for e in await w.store.ledger.entries(REPO, child.digest)}
        assert bounds == {"proxy.example/team/app", "proxy.example/team/app:v1"}
        assert (await w.pull("team/app", child.digest)).body == child.body


async def test_a_child_without_signature_is_allowed_while_its_parent_is() -> None:
    w = await world()
    child = image("child")
    w.put_behind(child, "team/app")
    assert await w.blocked("team/app", child.digest) == "unsigned"
    both = index(child)
    op = PushManifest(parse_repository("team/app"), both.digest)
    await w.say(op, body=both.body, content_type=both.media_type)
    assert (await w.pull("team/app", child.digest)).body == child.body


async def test_blobs_are_served_only_when_an_allowed_manifest_lists_them() -> None:
    w = await world()
    good, bad = image("good"), image("bad")
    await w.push(good, "team/app", "v1")
    w.put_behind(bad, "team/app", "bad")
    layer = json.loads(good.body)["layers"][0]["digest"]
    assert (await w.blob("team/app", layer)).status == 200
    await w.blocked("team/app", "bad")
    with pytest.raises(Exception, match="no allowed image of this repository lists this blob"):
        await w.blob("team/app", json.loads(bad.body)["layers"][0]["digest"])


async def test_signatures_themselves_can_be_pulled() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    app = image()
    await w.push(app, "team/app", "v1")
    sig = await w.pull("team/app", signature_tag(app.digest))
    for layer in json.loads(sig.body)["layers"]:
        assert (await w.blob("team/app", layer["digest"])).status == 200
    listed = await w.say(ListReferrers(REPO, app.digest))
    (bundle,) = json.loads(listed.body)["manifests"]
    assert bundle["artifactType"] in FORMATS["sigstore-bundle"].media_types
    assert (await w.pull("team/app", bundle["digest"])).status == 200


async def test_the_hsm_being_down_refuses_the_push_and_moves_no_tag() -> None:
    w = await world()
    w.signer.down = "token hsm1: no answer within 10 s"
    with pytest.raises(Exception, match="the signing device is unavailable; your image is fine, nothing was changed"):
        await w.push(image(), "team/app", "v1")
    assert w.tag("team/app", "v1") is None
    w.signer.down = None
    assert (await w.push(image(), "team/app", "v1")).status == 201


async def test_a_copy_in_another_repository_is_not_signed_there() -> None:
    w = await world()
    await w.push(image(), "team/app", "v1")
    for media_type, body in w.registry.shelf("team/app").manifests.values():
        w.registry.put_manifest("team/copy", body, media_type)
    for blob in w.registry.shelf("team/app").blobs.values():
        w.registry.put_blob("team/copy", blob)
    w.registry.shelf("team/copy").tags.update(w.registry.shelf("team/app").tags)
    assert await w.blocked("team/copy", "v1") == "wrong_identity"


async def test_a_signature_that_upstream_lost_is_put_back_from_our_copy() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(image(), "team/app", "v1")
    shelf = w.registry.shelf("team/app")
    del shelf.tags[signature_tag(image().digest)]
    assert (await w.pull("team/app", "v1")).status == 200
    await w.ports.cache.settle()
    assert signature_tag(image().digest) in shelf.tags
    assert sorted(w.store.journal.kinds()[-2:]) == [EventKind.PULL_ALLOWED, EventKind.SIGNATURE_REPAIRED]
    assert len(w.signer.made) == 3
