from __future__ import annotations

import pytest

from proxy.oci.operation import DeleteBlob, DeleteManifest
from proxy.oci.reference import digest_of, fallback_tag, parse_reference, signature_tag
from proxy.trust.event import Kind
from tests.worlds.conversation import REPO, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry

APP = image("app")
SIG = signature_tag(APP.digest)


async def test_a_deleted_image_is_forgotten_and_on_the_record() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await w.pull("team/app", "v1")
    assert (await w.say(DeleteManifest(REPO, APP.digest))).status == 202
    assert (await w.pull("team/app", "v1")).status == 404
    assert (await w.pull("team/app", APP.digest)).status == 404
    assert await w.store.facts.manifest(REPO, APP.digest) is None
    assert w.store.journal.kinds()[-1] is not Kind.SIGNATURE_REMOVED
    assert Kind.MANIFEST_DELETED in w.store.journal.kinds()


async def test_a_deleted_tag_leaves_the_image() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await w.say(DeleteManifest(REPO, parse_reference("v1")))
    assert (await w.pull("team/app", "v1")).status == 404
    assert (await w.pull("team/app", APP.digest)).body == APP.body


async def test_an_old_list_of_signatures_may_go_without_taking_any_with_it() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    old = w.registry.shelf("team/app").tags[SIG]
    await w.push(APP, "team/app", "v2")
    await w.say(DeleteManifest(REPO, parse_reference(old)))
    assert len(await w.store.ledger.entries(REPO, APP.digest)) == 4
    assert Kind.SIGNATURE_REMOVED not in w.store.journal.kinds()


@pytest.mark.parametrize("referrers", [True, False])
async def test_a_deleted_bundle_is_no_longer_listed(referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    await w.push(APP, "team/app", "v1")
    shelf = w.registry.shelf("team/app")
    (bundle,) = [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]
    await w.say(DeleteManifest(REPO, parse_reference(bundle)))
    assert {e.key.format for e in await w.store.ledger.entries(REPO, APP.digest)} == {"cosign-simple"}
    if not referrers:
        assert bundle.encode() not in shelf.manifests[shelf.tags[fallback_tag(APP.digest)]][1]


async def test_what_was_removed_and_is_pushed_again_comes_back_as_the_same_bytes() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    before = w.registry.shelf("team/app").tags[SIG]
    await w.say(DeleteManifest(REPO, SIG))
    await w.push(APP, "team/app", "v1")
    assert w.registry.shelf("team/app").tags[SIG] == before
    assert len(w.signer.made) == 3


async def test_a_refused_deletion_changes_nothing() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.registry.fail(DeleteManifest, 403)
    assert (await w.say(DeleteManifest(REPO, APP.digest))).status == 403
    assert (await w.pull("team/app", "v1")).status == 200


async def test_a_deleted_blob_is_on_the_record() -> None:
    w = await world()
    blob = w.registry.put_blob("team/app", b"x")
    assert (await w.say(DeleteBlob(REPO, blob))).status == 202
    assert w.store.journal.kinds() == [Kind.BLOB_DELETED]
    assert (await w.say(DeleteBlob(REPO, digest_of(b"y")))).status == 404


async def test_a_deleted_signature_is_gone_for_pulls_at_once() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1")
    await w.pull("team/app", "v1")
    shelf = w.registry.shelf("team/app")
    (bundle,) = [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]
    await w.say(DeleteManifest(REPO, SIG))
    await w.say(DeleteManifest(REPO, parse_reference(bundle)))
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
