from __future__ import annotations

import json

import pytest

from proxy.oci.faults import Unavailable
from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import DeleteManifest, ListReferrers, PushManifest
from proxy.oci.reference import fallback_tag
from proxy.registry.request import Request
from proxy.registry.writing.fallback_tag import list_referrer, unlist_referrer
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.foreign import list_in_fallback
from tests.worlds.images import Image, descriptor, image
from tests.worlds.registry import MemoryRegistry, Said, Seen, error

APP = image("app")
ASKED = Request(ANYBODY, "r")
TAG = fallback_tag(APP.digest)
BUNDLES = 1  # of ours, from one push


def note(name: str) -> Image:
    return image(name, subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")


async def without_api() -> World:
    return await world(registry=MemoryRegistry(referrers=False))


def listed(w: World) -> list[str]:
    shelf = w.registry.shelf("team/app")
    return [entry["digest"] for entry in json.loads(shelf.manifests[shelf.tags[TAG]][1])["manifests"]]


async def add(w: World, one: Image) -> None:
    w.put_behind(one, "team/app")
    await list_referrer(REPO, APP.digest, one.body, ASKED.fresh(), w.ports)


async def test_listed_once_and_unlisted_again() -> None:
    w = await without_api()
    a, b = note("a"), note("b")
    for one in (a, b, a):
        await add(w, one)
    assert listed(w) == [a.digest, b.digest]
    await unlist_referrer(REPO, APP.digest, a.digest, ASKED.fresh(), w.ports)
    assert listed(w) == [b.digest]


async def test_where_upstream_has_the_api_nothing_is_written() -> None:
    w = await world(registry=MemoryRegistry(referrers=True))
    await add(w, note("a"))
    assert w.registry.count(PushManifest) == 0


async def test_every_entry_that_is_gone_is_left_out_and_everything_else_stays() -> None:
    w = await without_api()
    notes = [note(str(n)) for n in range(6)]
    for one in notes[1::2]:
        w.put_behind(one, "team/app")
    told = [{**descriptor(OCI_MANIFEST, one.body), "annotations": {"n": str(n)}} for n, one in enumerate(notes)]
    list_in_fallback(w.registry, "team/app", APP.digest, told)
    new = note("new")
    await add(w, new)
    assert listed(w) == [*(one.digest for one in notes[1::2]), new.digest]
    shelf = w.registry.shelf("team/app")
    assert json.loads(shelf.manifests[shelf.tags[TAG]][1])["manifests"][:3] == told[1::2]


async def test_where_nothing_is_gone_a_refusal_is_a_refusal() -> None:
    w = await without_api()
    await add(w, note("a"))

    def no(seen: Seen) -> Said | None:
        op = seen.operation
        return error(400, "MANIFEST_INVALID") if isinstance(op, PushManifest) and op.reference == TAG else None

    w.registry.hooks.append(no)
    with pytest.raises(Unavailable, match="400"):
        await add(w, note("b"))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_an_entry_that_upstream_does_not_answer_for_is_kept(status: int) -> None:
    w = await without_api()
    silent, gone = note("silent"), note("gone")
    list_in_fallback(w.registry, "team/app", APP.digest, [descriptor(OCI_MANIFEST, n.body) for n in (silent, gone)])
    checked = False

    def answers(seen: Seen) -> Said | None:
        nonlocal checked
        checked = checked or isinstance(seen.operation, PushManifest)
        if checked and getattr(seen.operation, "reference", "") == silent.digest:
            return error(status, "UNKNOWN")
        return None

    w.registry.hooks.append(answers)
    with pytest.raises(Exception, match="upstream"):
        await add(w, note("new"))
    assert listed(w) == [silent.digest, gone.digest]


async def test_a_tag_that_somebody_keeps_is_remembered_until_it_is_free() -> None:
    w = await without_api()
    kept = image("kept")
    w.put_behind(kept, "team/app", TAG)
    w.put_behind(APP, "team/app")
    for _ in range(2):
        await w.push(APP, "team/app", "v1")
    assert list(w.ports.cache.kept_by_users) == [(REPO, TAG)]
    del w.registry.shelf("team/app").tags[TAG]
    await add(w, note("a"))
    assert not w.ports.cache.kept_by_users


@pytest.mark.parametrize("by_digest", [True, False])
async def test_nor_is_it_remembered_once_it_was_deleted_through_the_proxy(by_digest: bool) -> None:
    w = await without_api()
    await w.push(APP, "team/app", "v1")
    await w.push(APP, "team/app", TAG)
    assert list(w.ports.cache.kept_by_users) == [(REPO, TAG)]
    await w.say(DeleteManifest(REPO, APP.digest if by_digest else TAG))
    assert not w.ports.cache.kept_by_users


async def test_a_tag_named_after_something_that_was_not_signed_is_nothing_to_tell_of() -> None:
    w = await without_api()
    await w.push(APP, "team/app", fallback_tag(image("sources").digest))
    assert not w.ports.cache.kept_by_users


async def test_a_reader_of_the_list_finds_the_tag_kept_after_a_restart() -> None:
    w = await without_api()
    await w.push(APP, "team/app", "v1")
    w.put_behind(image("kept"), "team/app", TAG)
    assert not w.ports.cache.kept_by_users
    assert (await w.say(ListReferrers(REPO, APP.digest))).status == 200
    assert list(w.ports.cache.kept_by_users) == [(REPO, TAG)]
