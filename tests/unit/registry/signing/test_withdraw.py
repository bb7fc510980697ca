"""What we signed for an image goes when it goes: an image was deleted, and its signatures stayed for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.manifest import OCI_MANIFEST, Descriptor
from proxy.oci.operation import DeleteManifest, PullManifest, PushManifest
from proxy.oci.reference import Digest, Reference, fallback_tag, is_digest, parse_tag, signature_tag
from proxy.registry.cache import Cache
from proxy.registry.request import Response
from proxy.registry.signing.retag import finish_all
from proxy.registry.signing.withdraw import TRIES, withdraw_again
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.foreign import list_in_fallback, put_bundle
from tests.worlds.images import Image, image, index
from tests.worlds.named import missing, names, wrong
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.softkey import soft_key

APP, ARM, AMD = image("app"), image("arm"), image("amd")
BOTH = index(ARM, AMD)
SIG, FALLBACK = signature_tag(APP.digest), fallback_tag(APP.digest)
ABOUT = Descriptor(APP.media_type, APP.digest, len(APP.body))
STRANGER = soft_key(name="stranger")


async def pushed(*tags: str, referrers: bool = False) -> World:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    for tag in tags or ("v1",):
        await w.push(APP, "team/app", tag)
    return w


async def delete(w: World, reference: Reference) -> Response:
    answer = await w.say(DeleteManifest(REPO, reference))
    await w.ports.cache.settle()
    return answer


def about(w: World, digest: Digest) -> list[str]:
    """Tags and manifests upstream that carry what is said of this digest."""
    shelf = w.registry.shelf("team/app")
    tags = [tag for tag in shelf.tags if digest.partition(":")[2] in tag]
    subjects = {d: json.loads(body).get("subject") for d, (_, body) in shelf.manifests.items()}
    return tags + [d for d, subject in subjects.items() if subject and subject["digest"] == digest]


def layers(w: World) -> list[str]:
    shelf = w.registry.shelf("team/app")
    return [layer["digest"] for layer in json.loads(shelf.manifests[shelf.tags[SIG]][1])["layers"]]


def rows(w: World, kind: EventKind) -> list[Event]:
    return [event for event in w.store.journal.events if event.kind is kind]


def answers(w: World, this: Callable[[Reference], bool], status: int) -> None:
    """Upstream answers so to deletions of these, and does nothing."""

    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        return error(status, "UNSUPPORTED") if isinstance(op, DeleteManifest) and this(op.reference) else None

    w.registry.hooks.append(hook)


@pytest.mark.parametrize("referrers", [True, False, None])
async def test_a_deleted_image_left_its_signatures_behind(referrers: bool | None) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    await w.push(APP, "team/app", "v1")
    carriers = about(w, APP.digest)
    assert len(carriers) == (2 if referrers else 3)
    assert (await delete(w, APP.digest)).status == 202
    shelf = w.registry.shelf("team/app")
    assert (shelf.tags, shelf.manifests) == ({}, {})
    assert await w.store.ledger.entries(REPO, APP.digest) == ()
    (row,) = rows(w, EventKind.SIGNATURE_REMOVED)
    assert row.digest == APP.digest
    assert (row.detail["signatures"], row.detail["why"]) == (3, "its image was deleted")
    assert sorted(row.detail["deleted"]) == sorted(carriers)
    assert rows(w, EventKind.SIGNATURE_LEFT) == []


async def test_a_second_tag_of_a_deleted_image_keeps_nothing_either() -> None:
    w = await pushed("v1", "v2")
    await delete(w, APP.digest)
    assert w.registry.shelf("team/app").tags == {}
    assert await w.store.tags.find(REPO, [parse_tag("v1"), parse_tag("v2")]) == {}


async def test_children_of_a_deleted_index_keep_their_own_signatures_and_no_tags_name() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(BOTH, "team/app", "v1")
    assert names(w, ARM.digest) == ["v1"]
    await delete(w, BOTH.digest)
    assert about(w, BOTH.digest) == []
    for child in (ARM, AMD):
        assert about(w, child.digest) == [signature_tag(child.digest)]
        assert names(w, child.digest) == []
        assert (await w.pull("team/app", child.digest)).status == 200


async def test_a_deleted_child_of_an_index_goes_with_what_was_signed_for_it() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(BOTH, "team/app", "v1")
    await delete(w, ARM.digest)
    assert about(w, ARM.digest) == []
    assert about(w, AMD.digest) == [signature_tag(AMD.digest)]
    assert names(w, AMD.digest) == ["v1"]


@pytest.mark.parametrize("referrers", [True, False])
async def test_what_others_signed_beside_ours_stays(referrers: bool) -> None:
    w = await pushed(referrers=referrers)
    theirs = STRANGER.layer("cosign-simple", APP.digest)
    w.registry.put_blob("team/app", theirs.data)
    body = json.loads(w.registry.shelf("team/app").manifests[w.tag("team/app", SIG) or ""][1])
    body["layers"].append(
        {
            "mediaType": theirs.descriptor.media_type,
            "digest": theirs.descriptor.digest,
            "size": theirs.descriptor.size,
            "annotations": dict(theirs.descriptor.annotations),
        }
    )
    w.registry.put_manifest("team/app", json.dumps(body).encode(), OCI_MANIFEST, SIG)
    listed = None
    if not referrers:
        listed = json.loads(w.registry.shelf("team/app").manifests[w.tag("team/app", FALLBACK) or ""][1])["manifests"]
    bundle = put_bundle(w, "team/app", ABOUT, STRANGER.layer("sigstore-bundle", APP.digest))
    if listed is not None:
        entry = {"mediaType": OCI_MANIFEST, "digest": bundle, "size": 1, "artifactType": "x"}
        list_in_fallback(w.registry, "team/app", APP.digest, [*listed, entry])
    await delete(w, APP.digest)
    assert layers(w) == [theirs.descriptor.digest]
    assert bundle in w.registry.shelf("team/app").manifests
    tags = [SIG] if referrers else [SIG, FALLBACK]
    assert set(about(w, APP.digest)) == {*tags, bundle}
    if not referrers:
        left = json.loads(w.registry.shelf("team/app").manifests[w.tag("team/app", FALLBACK) or ""][1])["manifests"]
        assert left == [entry]
    (row,) = rows(w, EventKind.SIGNATURE_REMOVED)
    assert row.detail["shortened"] == tags


async def test_an_index_that_somebody_keeps_under_the_name_of_the_list_stays() -> None:
    w = await pushed(referrers=True)
    (bundle,) = [each for each in about(w, APP.digest) if is_digest(each)]  # type: ignore[arg-type]
    other = w.put_behind(image("other"), "team/app")
    entries = [{"mediaType": OCI_MANIFEST, "digest": each, "size": 1} for each in (bundle, other)]
    kept = list_in_fallback(w.registry, "team/app", APP.digest, entries)
    await delete(w, APP.digest)
    assert w.tag("team/app", FALLBACK) == kept


async def test_a_tag_of_somebodys_own_on_a_list_of_ours_keeps_the_list() -> None:
    w = await pushed()
    old = w.tag("team/app", SIG)
    assert old is not None
    _, body = w.registry.shelf("team/app").manifests[old]
    await w.say(PushManifest(REPO, parse_tag("backup")), user("a"), body, content_type=OCI_MANIFEST)
    await delete(w, APP.digest)
    assert w.tag("team/app", "backup") == old
    assert about(w, APP.digest) == []


@pytest.mark.parametrize("status", [400, 404, 405, 501])
async def test_where_upstream_deletes_no_tags_the_lists_go_by_digest(status: int) -> None:
    w = await pushed()
    answers(w, lambda reference: not is_digest(reference), status)
    assert (await delete(w, APP.digest)).status == 202
    assert w.registry.shelf("team/app").tags == {}
    assert rows(w, EventKind.SIGNATURE_LEFT) == []


async def test_where_upstream_deletes_nothing_that_has_a_tag_the_tag_goes_first() -> None:
    w = await pushed()
    w.registry.shelf("team/app").tags.pop("v1")
    answers(w, lambda reference: reference in w.registry.shelf("team/app").tags.values(), 400)
    assert (await delete(w, APP.digest)).status == 202
    assert (w.registry.shelf("team/app").tags, w.registry.shelf("team/app").manifests) == ({}, {})


async def test_where_upstream_deletes_manifests_and_keeps_their_tags_these_go_too() -> None:
    """A registry that keeps a copy of the manifest under each name."""
    w = await pushed("v1", "v2")
    shelf = w.registry.shelf("team/app")
    copies = {tag: shelf.manifests[digest] for tag, digest in shelf.tags.items() if tag in ("v1", "v2")}

    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        if isinstance(op, DeleteManifest) and op.reference in copies:
            del copies[op.reference]
            return Said(202)
        if isinstance(op, PullManifest) and op.reference in copies:
            kind, body = copies[op.reference]
            return Said(200, (("content-type", kind), ("docker-content-digest", APP.digest)), body)
        return None

    w.registry.hooks.append(hook)
    await delete(w, APP.digest)
    assert copies == {}
    assert about(w, APP.digest) == []


@pytest.mark.parametrize("status", [0, 401, 429, 500, 503])
async def test_could_not_look_is_not_gone(status: int) -> None:
    w = await pushed()
    done: list[Seen] = []

    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        if isinstance(op, DeleteManifest):
            done.append(seen)
        if done and isinstance(op, PullManifest) and op.reference == APP.digest:
            if status == 0:
                raise Unavailable("upstream: connection reset")
            return error(status, "UNKNOWN")
        return None

    w.registry.hooks.append(hook)
    answer = await delete(w, APP.digest)
    assert answer.status == 202
    assert "delete it again" in (answer.warning or "")
    assert len(about(w, APP.digest)) == 3
    assert len(await w.store.ledger.entries(REPO, APP.digest)) == 2  # what names the tag that is gone went
    (row,) = rows(w, EventKind.SIGNATURE_LEFT)
    assert row.detail["gone"] is False


async def test_what_is_still_there_after_its_deletion_keeps_its_signatures() -> None:
    w = await pushed()
    w.registry.hooks.append(lambda seen: Said(202) if isinstance(seen.operation, DeleteManifest) else None)
    answer = await delete(w, APP.digest)
    assert (answer.status, answer.warning) == (202, None)
    assert (await w.pull("team/app", APP.digest)).status == 200


@pytest.mark.parametrize("fails", [SIG, FALLBACK, "bundle"])
async def test_what_could_not_be_taken_along_is_told_and_goes_with_the_next_try(fails: str) -> None:
    w = await pushed()
    shelf = w.registry.shelf("team/app")
    bundle = next(each for each in about(w, APP.digest) if is_digest(each))  # type: ignore[arg-type]
    there = {bundle} if fails == "bundle" else {fails, shelf.tags[fails]}
    answers(w, lambda reference: reference in there, 500)
    answer = await delete(w, APP.digest)
    assert answer.status == 202
    assert answer.warning
    assert "upstream" not in answer.warning
    (row,) = rows(w, EventKind.SIGNATURE_LEFT)
    assert row.detail["gone"] is True
    assert "500" in str(row.detail["left"])
    left = await w.store.ledger.entries(REPO, APP.digest)
    assert {e.key.format for e in left} == ({"cosign-simple"} if fails == SIG else {"sigstore-bundle"})
    w.registry.hooks.clear()
    again = await delete(w, APP.digest)
    assert (again.status, again.warning) == (404, None)
    assert about(w, APP.digest) == []
    assert await w.store.ledger.entries(REPO, APP.digest) == ()
    assert rows(w, EventKind.SIGNATURE_REMOVED)[-1].detail["signatures"] == len(left)


@pytest.mark.parametrize("fails", [SIG, FALLBACK])
async def test_what_could_not_be_taken_along_is_tried_again_by_itself(fails: str) -> None:
    w = await pushed()
    answers(w, lambda reference: reference in (fails, w.registry.shelf("team/app").tags[fails]), 503)
    await delete(w, APP.digest)
    await withdraw_again(w.ports)
    assert about(w, APP.digest)
    w.registry.hooks.clear()
    await withdraw_again(w.ports)
    assert about(w, APP.digest) == []
    assert len(w.ports.cache.to_withdraw) == 0
    assert len(rows(w, EventKind.SIGNATURE_LEFT)) == 1
    assert await w.store.ledger.entries(REPO, APP.digest) == ()


async def test_what_upstream_deletes_a_while_later_goes_then_and_what_it_never_deletes_stays() -> None:
    w = await pushed()
    await w.push(ARM, "team/app", "arm")
    w.registry.hooks.append(lambda seen: Said(202) if isinstance(seen.operation, DeleteManifest) else None)
    for digest in (APP.digest, ARM.digest):
        assert (await delete(w, digest)).warning is None
    w.registry.hooks.clear()
    shelf = w.registry.shelf("team/app")
    shelf.manifests.pop(APP.digest)
    shelf.tags.pop("v1")
    for _ in range(TRIES + 1):
        await withdraw_again(w.ports)
    assert about(w, APP.digest) == []
    assert len(about(w, ARM.digest)) == 3
    assert len(w.ports.cache.to_withdraw) == 0
    assert (await w.pull("team/app", "arm")).status == 200


@pytest.mark.parametrize("status", [408, 500, 504])
async def test_a_deletion_that_upstream_said_failed_and_was_done_takes_them_along(status: int) -> None:
    w = await pushed()
    lied = False

    def lie(seen: Seen, said: Said) -> Said:
        nonlocal lied
        if isinstance(seen.operation, DeleteManifest) and not lied:
            lied = True
            return error(status, "UNKNOWN")
        return said

    w.registry.lies.append(lie)
    assert (await delete(w, APP.digest)).status == status
    assert about(w, APP.digest) == []
    assert w.tag("team/app", "v1") is None


@pytest.mark.parametrize("status", [401, 403, 405])
async def test_where_upstream_deletes_nothing_nothing_changes(status: int) -> None:
    w = await pushed()
    answers(w, lambda _: True, status)
    before = dict(w.registry.shelf("team/app").tags)
    for reference in (APP.digest, parse_tag("v1")):
        answer = await delete(w, reference)
        assert (answer.status, answer.warning) == (status, None)
    assert w.registry.shelf("team/app").tags == before
    assert names(w, APP.digest) == ["v1"]
    assert (await w.pull("team/app", "v1")).status == 200


async def test_a_deleted_tag_takes_what_names_it_and_no_more() -> None:
    w = await pushed("v1", "v2")
    theirs = STRANGER.layer("cosign-simple", APP.digest, bound="proxy.example/team/app:v1")
    w.registry.put_blob("team/app", theirs.data)
    body = json.loads(w.registry.shelf("team/app").manifests[w.tag("team/app", SIG) or ""][1])
    found = theirs.descriptor
    entry = {"mediaType": found.media_type, "digest": found.digest, "size": found.size}
    body["layers"].append({**entry, "annotations": dict(found.annotations)})
    w.registry.put_manifest("team/app", json.dumps(body).encode(), OCI_MANIFEST, SIG)
    answer = await w.say(DeleteManifest(REPO, parse_tag("v1")))  # and nothing is left to be done afterwards
    assert answer.status == 202
    assert len(layers(w)) == 3
    assert layers(w)[-1] == found.digest
    assert names(w, APP.digest) == ["v1", "v2"]  # the first is what the stranger says
    assert {e.key.bound.rpartition(":")[2] for e in await w.store.ledger.entries(REPO, APP.digest)} >= {"v2"}
    assert (await w.pull("team/app", "v2")).status == 200


async def test_a_deleted_tag_that_takes_its_image_along_takes_all_that_was_signed() -> None:
    """ECR deletes an image with its last tag."""
    w = await pushed()

    def lie(seen: Seen, said: Said) -> Said:
        if isinstance(seen.operation, DeleteManifest) and seen.operation.reference == "v1":
            w.registry.shelf("team/app").manifests.pop(APP.digest)
        return said

    w.registry.lies.append(lie)
    await delete(w, parse_tag("v1"))
    assert about(w, APP.digest) == []
    assert await w.store.ledger.entries(REPO, APP.digest) == ()


async def test_what_went_does_not_come_back_but_by_a_push() -> None:
    w = await pushed()
    await delete(w, APP.digest)
    w.put_behind(APP, "team/app", "v1")
    assert await w.blocked("team/app", "v1") == "unsigned"
    await finish_all(w.ports)
    await w.ports.cache.settle()
    assert about(w, APP.digest) == []
    made = len(w.signer.made)
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200
    assert len(w.signer.made) == made  # the same bytes


async def test_what_the_callers_token_may_not_read_is_taken_along_with_our_own_account() -> None:
    w = await pushed()
    w.registry.ours = "ours"

    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        lists = isinstance(op, PullManifest) and op.reference in (SIG, FALLBACK)
        return error(401, "UNAUTHORIZED") if lists and seen.authorization != "ours" else None

    w.registry.hooks.append(hook)
    answer = await delete(w, APP.digest)
    assert answer.warning is None
    assert about(w, APP.digest) == []


@pytest.mark.parametrize("sees", [True, False])
async def test_a_token_that_may_delete_and_not_read_leaves_the_look_to_our_own_account(sees: bool) -> None:
    w = await pushed()
    w.registry.ours = "ours"
    deleted = False

    def hook(seen: Seen) -> Said | None:
        nonlocal deleted
        deleted = deleted or isinstance(seen.operation, DeleteManifest)
        if not deleted or not isinstance(seen.operation, PullManifest):
            return None
        if seen.authorization != "ours":
            return error(401, "UNAUTHORIZED")
        return None if sees else error(404, "NAME_UNKNOWN")  # what some say to who may not know

    w.registry.hooks.append(hook)
    answer = await delete(w, APP.digest)
    assert (answer.warning is None) is sees
    assert (about(w, APP.digest) == []) is sees


async def sharing(w: World) -> World:
    """Another server on the same store and registry."""
    w.store.tags.sole = False
    return replace(w, ports=replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic)))


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize("what", [APP, BOTH], ids=["image", "index"])
async def test_a_push_beside_a_deletion_lost_its_signature(servers: int, what: Image) -> None:
    """Whoever comes first: what is under a tag afterwards is signed for it, and what is gone left nothing."""
    for turns in range(0, 90, 3):
        w = await world(registry=MemoryRegistry(referrers=False))
        other = w if servers == 1 else await sharing(w)
        await w.push(what, "team/app", "v1")
        await w.ports.cache.settle()

        async def slowly(_: Seen) -> None:
            await asyncio.sleep(0)

        w.registry.pause = slowly

        async def later(other: World = other, turns: int = turns) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await other.say(DeleteManifest(REPO, what.digest))

        pushing = w.push(what, "team/app", "v2")
        failed = await asyncio.gather(pushing, later(), return_exceptions=True)
        assert all(not isinstance(each, BaseException) or isinstance(each, Fault) for each in failed), failed
        for each in (w, other):
            await each.ports.cache.settle()
        await finish_all(w.ports)
        w.registry.pause = None
        assert wrong(w) == [], turns
        assert missing(w) == [], turns
        there = what.digest in w.registry.shelf("team/app").manifests
        if there:
            assert (await w.pull("team/app", what.digest)).status == 200, turns
        else:
            assert about(w, what.digest) == [], turns


@pytest.mark.parametrize("servers", [1, 2])
async def test_a_deletion_between_the_signature_and_the_tag_of_a_push_left_the_tag_unsigned(servers: int) -> None:
    w = await pushed()
    other = w if servers == 1 else await sharing(w)
    deletes, moves, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def pause(seen: Seen) -> None:
        if isinstance(seen.operation, DeleteManifest) and not deletes.is_set():
            deletes.set()
            await asyncio.wait({asyncio.ensure_future(moves.wait())}, timeout=0.3)
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == "v2":
            moves.set()
            await go.wait()

    w.registry.pause = pause
    deleting = asyncio.create_task(other.say(DeleteManifest(REPO, APP.digest)))
    await asyncio.wait_for(deletes.wait(), 5)
    pushing = asyncio.create_task(w.push(APP, "team/app", "v2"))
    await asyncio.wait({deleting}, timeout=0.6)
    go.set()
    assert (await pushing).status == 201
    assert (await deleting).status == 202
    for each in (w, other):
        await each.ports.cache.settle()
    if w.tag("team/app", "v2"):
        assert missing(w) == []
        assert (await w.pull("team/app", "v2")).status == 200
    else:
        assert about(w, APP.digest) == []
