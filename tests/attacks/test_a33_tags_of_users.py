"""Attack 33, and its other side: what people keep under names like those of signatures stays theirs, and is signed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST
from proxy.oci.operation import ListReferrers, PushManifest
from proxy.oci.reference import Digest, Tag, digest_of, fallback_tag, parse_tag
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.foreign import list_in_fallback
from tests.worlds.images import Image, descriptor, dump, image, index
from tests.worlds.registry import MemoryRegistry

APP = image("app")
PLATFORMS = index(image("amd64"), image("arm64"))
BUNDLES = replace(SIGN, push=PushRules(("release",), ("cosign-simple", "sigstore-bundle")))


async def without_api(policy: Policy = BUNDLES) -> World:
    return await world(policy, registry=MemoryRegistry(referrers=False))


async def push(w: World, one: Image, reference: str) -> int:
    """Push it and what it lists, as clients do."""
    for child in one.children:
        assert await push(w, child, child.digest) == 201
    for blob in one.blobs:
        w.registry.put_blob("team/app", blob)
    op = PushManifest(REPO, parse_tag(reference) if ":" not in reference else Digest(reference))
    return (await w.say(op, body=one.body, content_type=one.media_type)).status


def keep(w: World, one: Image, tag: Tag) -> None:
    """Somebody keeps it under that tag, pushed behind our back or before we were there."""
    for child in one.children:
        w.registry.put_manifest("team/app", child.body, child.media_type)
    w.put_behind(one, "team/app", tag)


async def listed(w: World, digest: Digest) -> list[str]:
    answer = await w.say(ListReferrers(REPO, digest))
    return [entry["digest"] for entry in json.loads(answer.body)["manifests"]]


@pytest.mark.parametrize("kept", [APP, PLATFORMS, image("another")], ids=["its own image", "an index", "another image"])
async def test_signing_an_image_overwrites_nobodys_tag_and_the_api_lists_our_bundle(kept: Image) -> None:
    w = await without_api()
    tag = fallback_tag(APP.digest)
    keep(w, kept, tag)
    assert await push(w, APP, "v1") == 201
    assert w.tag("team/app", tag) == kept.digest
    (bundle,) = await listed(w, APP.digest)
    refers = json.loads(w.registry.shelf("team/app").manifests[Digest(bundle)][1])
    assert refers["subject"]["digest"] == APP.digest


async def test_an_index_of_artifacts_that_refer_to_something_else_is_nobodys_list() -> None:
    w = await without_api()
    about = descriptor(APP.media_type, image("other").body)
    entry = image("note", subject=about)
    digest = w.registry.put_manifest("team/app", entry.body, OCI_MANIFEST)
    told = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(entry.body), "artifactType": "text/plain"}
    list_in_fallback(w.registry, "team/app", APP.digest, [told])
    before = w.tag("team/app", fallback_tag(APP.digest))
    assert await push(w, APP, "v1") == 201
    assert w.tag("team/app", fallback_tag(APP.digest)) == before
    assert digest not in await listed(w, APP.digest)


async def test_a_list_of_referrers_is_still_added_to() -> None:
    w = await without_api()
    note = image("note", subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")
    digest = w.registry.put_manifest("team/app", note.body, OCI_MANIFEST)
    told = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(note.body), "artifactType": "text/plain"}
    list_in_fallback(w.registry, "team/app", APP.digest, [told])
    assert await push(w, APP, "v1") == 201
    tag = w.registry.shelf("team/app").tags[fallback_tag(APP.digest)]
    entries = [e["digest"] for e in json.loads(w.registry.shelf("team/app").manifests[tag][1])["manifests"]]
    assert entries[0] == digest
    assert len(entries) == 2


@pytest.mark.parametrize("api", [True, False])
@pytest.mark.parametrize("what", [APP, PLATFORMS], ids=["image", "index"])
async def test_what_is_pushed_under_the_tag_of_its_own_digest_is_accepted_signed_and_stays(
    what: Image, api: bool
) -> None:
    w = await world(BUNDLES, registry=MemoryRegistry(referrers=api))
    tag = fallback_tag(what.digest)
    for _ in range(2):
        assert await push(w, what, tag) == 201
        assert w.tag("team/app", tag) == what.digest
    assert (await w.pull("team/app", tag)).body == what.body
    assert (await w.pull("team/app", what.digest)).body == what.body


@pytest.mark.parametrize("api", [True, False])
async def test_an_index_earns_nothing_by_the_name_of_its_tag(api: bool) -> None:
    w = await world(BUNDLES, registry=MemoryRegistry(referrers=api))
    assert await push(w, PLATFORMS, fallback_tag(digest_of(b"sources"))) == 201
    assert (await w.pull("team/app", PLATFORMS.digest)).body == PLATFORMS.body


async def test_an_index_of_what_is_not_there_yet_is_no_list_of_referrers() -> None:
    w = await without_api()
    entry = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"later"), "size": 5, "artifactType": "text/plain"}
    body = dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    op = PushManifest(REPO, fallback_tag(APP.digest))
    answer = await w.say(op, body=body, content_type=OCI_INDEX)
    assert answer.status >= 400 or (await w.pull("team/app", digest_of(body))).body == body


async def test_a_client_pushes_its_list_of_referrers_unsigned() -> None:
    w = await without_api(replace(SIGN, push=PushRules(("release",), ("cosign-simple",))))
    note = image("note", subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")
    assert await push(w, APP, "v1") == 201
    assert await push(w, note, note.digest) == 201
    entry = descriptor(OCI_MANIFEST, note.body)
    body = dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry], "annotations": {"by": "a client"}})
    signed = len(await w.store.ledger.entries(REPO, digest_of(body)))
    answer = await w.say(PushManifest(REPO, fallback_tag(APP.digest)), body=body, content_type=OCI_INDEX)
    assert answer.status == 201
    assert len(await w.store.ledger.entries(REPO, digest_of(body))) == signed == 0
