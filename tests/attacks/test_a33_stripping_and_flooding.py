"""Attack 33: somebody who may push takes signatures away, or buries them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest

from proxy.formats import carrier
from proxy.journal.event import EventKind
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor
from proxy.oci.operation import DeleteBlob, DeleteManifest, PushManifest
from proxy.oci.reference import Tag, digest_of, fallback_tag, parse_digest, parse_reference, signature_tag
from proxy.registry.signing.attach import layer_of
from proxy.trust.ledger import Stage
from proxy.trust.policy import Clause, Policy, PullRules
from tests.worlds.conversation import REPO, SIGN, World, user, world
from tests.worlds.denials import denied
from tests.worlds.foreign import list_in_fallback, put_bundle, put_sig, trusted
from tests.worlds.images import descriptor, dump, image, index
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.rights import TableRights
from tests.worlds.softkey import soft_key

APP = image("app")
SIG, FALLBACK = signature_tag(APP.digest), fallback_tag(APP.digest)
STRANGER, PARTNER = soft_key(name="stranger"), soft_key(name="partner")


async def put(w: World, reference: str, body: bytes, media_type: str) -> None:
    await w.say(PushManifest(REPO, parse_reference(reference)), user("mallory"), body, content_type=media_type)


def content(w: World, tag: Tag) -> bytes:
    shelf = w.registry.shelf("team/app")
    return shelf.manifests[shelf.tags[tag]][1]


def sig_of(w: World, *keep: int) -> bytes:
    """The `.sig` manifest with only these layers."""
    found = json.loads(content(w, SIG))
    return dump({**found, "layers": [found["layers"][at] for at in keep]})


def signed_by_partner() -> Policy:
    return Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))


async def pushed(*, referrers: bool = False) -> World:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    await w.push(APP, "team/app", "v1")
    return w


async def test_who_is_not_on_the_push_list_takes_nothing_away() -> None:
    policy = replace(SIGN, push=replace(SIGN.push, allow=("ci",)))
    w = await world(policy, rights=TableRights(frozenset({"ci", "mallory"})), registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1", by=user("ci"))
    shelf = w.registry.shelf("team/app")
    before = dict(shelf.tags), set(shelf.manifests), set(shelf.blobs)
    for reference in (*shelf.tags, *shelf.manifests):
        delete = partial(w.say, DeleteManifest(REPO, parse_reference(reference)), user("mallory"))
        await denied(w, delete, "push_not_allowed", times=1)
    for blob in shelf.blobs:
        delete = partial(w.say, DeleteBlob(REPO, parse_digest(blob)), user("mallory"))
        await denied(w, delete, "push_not_allowed", times=1)
    assert before == (shelf.tags, set(shelf.manifests), set(shelf.blobs))


async def test_an_immutable_tag_is_not_moved_by_taking_it_away_first() -> None:
    w = await world(replace(SIGN, push=replace(SIGN.push, immutable_tags=("v*",))))
    await w.push(APP, "team/app", "v1")
    for reference in ("v1", APP.digest):
        delete = partial(w.say, DeleteManifest(REPO, parse_reference(reference)), user("mallory"))
        await denied(w, delete, "tag_immutable")
    await denied(w, lambda: w.push(image("evil"), "team/app", "v1"), "tag_immutable", times=1)
    assert w.tag("team/app", "v1") == APP.digest


@pytest.mark.parametrize("keep", [(0,), (1,)])
async def test_a_sig_list_that_lacks_ours_takes_none_off(keep: tuple[int, ...]) -> None:
    w = await pushed()
    before = content(w, SIG)
    for _ in range(2):
        await put(w, SIG, sig_of(w, *keep), OCI_MANIFEST)
        assert content(w, SIG) == before


async def test_an_image_over_the_sig_tag_is_refused() -> None:
    w = await pushed()
    evil = image("evil")
    for blob in evil.blobs:
        w.registry.put_blob("team/app", blob)
    before = content(w, SIG)
    fault = await denied(w, lambda: put(w, SIG, evil.body, evil.media_type), "tag_reserved")
    assert "push it under another tag" in fault.message
    assert content(w, SIG) == before


async def test_a_fallback_index_without_entries_takes_none_off() -> None:
    w = await pushed()
    before = content(w, FALLBACK)
    await put(w, FALLBACK, index().body, OCI_INDEX)
    assert content(w, FALLBACK) == before


async def test_an_index_of_images_over_our_list_of_referrers_is_refused() -> None:
    w = await pushed()
    other = image("other")
    w.put_behind(other, "team/app")
    before = content(w, FALLBACK)
    await denied(w, lambda: put(w, FALLBACK, index(other).body, OCI_INDEX), "tag_reserved")
    assert content(w, FALLBACK) == before


async def test_several_tags_at_once_are_each_held_to_that() -> None:
    w = await pushed()
    before, body = content(w, SIG), sig_of(w, 0)
    op = PushManifest(REPO, digest_of(body), (Tag("harmless"), SIG))
    assert (await w.say(op, user("mallory"), body, content_type=OCI_MANIFEST)).status == 201
    assert content(w, SIG) == before
    assert content(w, Tag("harmless")) == body


async def test_a_signature_added_to_ours_is_accepted_and_stays_through_our_next_push() -> None:
    w = await pushed()
    theirs = STRANGER.layer("cosign-simple", APP.digest)
    w.registry.put_blob("team/app", theirs.data)
    more = carrier.sig_manifest(content(w, SIG), [theirs.descriptor])
    assert more is not None
    await put(w, SIG, more, OCI_MANIFEST)
    await w.push(APP, "team/app", "v2")
    assert len(json.loads(content(w, SIG))["layers"]) == 4


async def test_a_client_that_writes_while_we_attach_takes_nothing_off() -> None:
    w = await pushed()
    theirs = STRANGER.layer("cosign-simple", APP.digest)
    w.registry.put_blob("team/app", theirs.data)
    read_before = carrier.sig_manifest(content(w, SIG), [theirs.descriptor])
    assert read_before is not None

    async def slowly(seen: Seen) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    w.registry.pause = slowly
    ours = asyncio.create_task(w.push(APP, "team/app", "v2"))
    for delay in range(60):
        await asyncio.sleep(0)
        if delay % 5 == 0:
            await put(w, SIG, read_before, OCI_MANIFEST)
    await ours
    marks = {carrier.mark(layer) for layer in layers(content(w, SIG))}
    entries = await w.store.ledger.entries(REPO, APP.digest)
    ours_now = [e for e in entries if e.key.format == "cosign-simple" and e.stage is Stage.ATTACHED]
    assert {e.key.bound.rpartition(":")[2] for e in ours_now} == {"proxy.example/team/app", "v1", "v2"}
    assert {carrier.mark(layer_of(e, w.ports)) for e in ours_now} | {carrier.mark(theirs.descriptor)} == marks


def layers(body: bytes) -> list[Descriptor]:
    return [
        Descriptor(entry["mediaType"], entry["digest"], entry["size"], entry.get("annotations", {}))
        for entry in json.loads(body)["layers"]
    ]


@pytest.mark.parametrize("behind", [True, False], ids=["behind our back", "through us"])
async def test_signatures_taken_off_upstream(behind: bool) -> None:
    """Behind our back the image stays pullable from our own copies; through us it is what was asked for: unsigned."""
    w = await pushed(referrers=True)
    shelf = w.registry.shelf("team/app")
    referrers = [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]
    if behind:
        del shelf.tags[SIG]
        for digest in referrers:
            del shelf.manifests[digest]
        w.store.clock.advance(120)
        assert (await w.pull("team/app", "v1")).body == APP.body
        return
    await w.say(DeleteManifest(REPO, SIG))
    for digest in referrers:
        await w.say(DeleteManifest(REPO, parse_reference(digest)))
    removed = [e for e in w.store.journal.events if e.kind is EventKind.SIGNATURE_REMOVED]
    assert sum(e.detail["signatures"] for e in removed) == 3
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")


@pytest.mark.parametrize("by_digest", [True, False])
async def test_a_sig_list_that_others_extended_and_somebody_deletes_takes_ours_with_it(by_digest: bool) -> None:
    w = await pushed(referrers=True)
    theirs = STRANGER.layer("cosign-simple", APP.digest)
    w.registry.put_blob("team/app", theirs.data)
    more = carrier.sig_manifest(content(w, SIG), [theirs.descriptor])
    assert more is not None
    await put(w, SIG, more, OCI_MANIFEST)
    await w.pull("team/app", SIG)
    reference = w.registry.shelf("team/app").tags[SIG] if by_digest else SIG
    await w.say(DeleteManifest(REPO, parse_reference(reference)), user("admin"))
    left = await w.store.ledger.entries(REPO, APP.digest)
    assert {e.key.format for e in left} == {"sigstore-bundle"}
    assert EventKind.SIGNATURE_REMOVED in w.store.journal.kinds()


async def test_deleting_needs_the_right_upstream_and_changes_nothing_without_it() -> None:
    w = await pushed()

    def no(seen: Seen) -> Said | None:
        return error(403, "DENIED") if isinstance(seen.operation, DeleteManifest) else None

    w.registry.hooks.append(no)
    assert (await w.say(DeleteManifest(REPO, SIG), user("mallory"))).status == 403
    assert len(await w.store.ledger.entries(REPO, APP.digest)) == 3
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_a_refused_tag_takes_no_signature_off_the_tag_that_is_there() -> None:
    w = await pushed()
    before = content(w, SIG)

    def immutable(seen: Seen) -> Said | None:
        op = seen.operation
        return error(409, "DENIED") if isinstance(op, PushManifest) and op.reference == "v1" else None

    w.registry.hooks.append(immutable)
    assert (await w.push(APP, "team/app", "v1")).status == 409
    assert content(w, SIG) == before
    entries = await w.store.ledger.entries(REPO, APP.digest)
    assert "proxy.example/team/app:v1" in {e.key.bound for e in entries}


async def test_a_refused_tag_leaves_no_signature_for_it() -> None:
    w = await pushed()
    w.registry.hooks.append(
        lambda s: (
            error(409, "DENIED") if isinstance(s.operation, PushManifest) and s.operation.reference == "v2" else None
        )
    )
    before = content(w, SIG)
    assert (await w.push(APP, "team/app", "v2")).status == 409
    assert layers(content(w, SIG)) == layers(before)
    entries = await w.store.ledger.entries(REPO, APP.digest)
    assert "proxy.example/team/app:v2" not in {e.key.bound for e in entries if e.stage is Stage.ATTACHED}


@pytest.mark.parametrize("referrers", [True, False])
async def test_a_thousand_junk_referrers_do_not_block_what_we_signed(referrers: bool) -> None:
    w = await pushed(referrers=referrers)
    flood(w, 1000)
    w.store.clock.advance(120)
    seen = len(w.registry.seen)
    assert (await w.pull("team/app", "v1")).body == APP.body
    await w.ports.cache.settle()
    assert len(w.registry.seen) - seen < 20


def flood(w: World, count: int) -> None:
    shelf = w.registry.shelf("team/app")
    blob = w.registry.put_blob("team/app", b"{}")
    entries = list(json.loads(content(w, FALLBACK))["manifests"]) if FALLBACK in shelf.tags else []
    for n in range(count):
        body = dump(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": blob, "size": 2},
                "layers": [{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "digest": blob, "size": 2}],
                "subject": descriptor(APP.media_type, APP.body),
                "annotations": {"n": str(n)},
            }
        )
        entries.append(descriptor(OCI_MANIFEST, body))
        w.registry.put_manifest("team/app", body, OCI_MANIFEST)
    if not w.registry.referrers:
        list_in_fallback(w.registry, "team/app", APP.digest, entries)


async def test_junk_in_one_place_does_not_block_a_good_signature_in_another() -> None:
    w = await world(signed_by_partner(), trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=True))
    w.put_behind(APP, "team/app", "v1")
    flood(w, 300)
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("status", [404, 500, 429])
async def test_one_entry_that_upstream_cannot_answer_for_hides_no_good_one(status: int) -> None:
    """Debian's registry answers 500 to a layer's digest under manifests (measured): one such entry is easily listed."""
    w = await world(signed_by_partner(), trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=False))
    w.put_behind(APP, "team/app", "v1")
    about = Descriptor(APP.media_type, APP.digest, len(APP.body))
    put_bundle(w, "team/app", about, PARTNER.layer("sigstore-bundle", APP.digest))
    listed = json.loads(content(w, FALLBACK))["manifests"]
    bad = {**listed[0], "digest": "sha256:" + "7" * 64, "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
    list_in_fallback(w.registry, "team/app", APP.digest, [bad, *listed])
    w.registry.hooks.append(lambda s: error(status, "UNKNOWN") if "7" * 64 in str(s.operation) else None)
    assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("what", ["too large", "throttled", "html"])
async def test_a_fallback_tag_that_cannot_be_read_hides_nothing_that_the_api_lists(what: str) -> None:
    w = await world(signed_by_partner(), trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=True))
    w.put_behind(APP, "team/app", "v1")
    about = Descriptor(APP.media_type, APP.digest, len(APP.body))
    put_bundle(w, "team/app", about, PARTNER.layer("sigstore-bundle", APP.digest))
    answers = {
        "too large": Said(200, (("content-type", OCI_INDEX),), b" " * (5 << 20)),
        "throttled": error(429, "TOOMANYREQUESTS"),
        "html": Said(200, (("content-type", "text/html"),), b"<html>log in</html>"),
    }
    w.registry.hooks.append(lambda s: answers[what] if getattr(s.operation, "reference", "") == FALLBACK else None)
    assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("what", ["too large", "throttled", "html"])
async def test_what_could_not_be_read_is_never_absence(what: str) -> None:
    w = await world(signed_by_partner(), trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=False))
    w.put_behind(APP, "team/app", "v1")
    answers = {
        "too large": Said(200, (("content-type", OCI_INDEX),), b" " * (5 << 20)),
        "throttled": error(429, "TOOMANYREQUESTS"),
        "html": Said(200, (("content-type", "text/html"),), b"<html>log in</html>"),
    }
    w.registry.hooks.append(lambda s: answers[what] if getattr(s.operation, "reference", "") == FALLBACK else None)
    await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable")
