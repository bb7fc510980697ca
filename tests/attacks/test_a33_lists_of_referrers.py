"""Attack 33: a pushed list of what refers to a digest takes none of ours off, and what is gone stops no push."""

from __future__ import annotations

import json

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST
from proxy.oci.operation import DeleteManifest, ListReferrers, PushManifest
from proxy.oci.reference import digest_of, parse_reference, parse_tag
from proxy.trust.denial import Denial
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.ledger import Stage
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.denials import denied
from tests.worlds.foreign import list_in_fallback, put_bundle
from tests.worlds.images import descriptor, image
from tests.worlds.memory import NOON
from tests.worlds.pushed_lists import (
    APP,
    FALLBACK,
    STRANGER,
    body_of,
    entries,
    listing,
    pushed,
    put,
    writes,
)
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.softkey import about


async def test_a_list_of_referrers_lacks_neither_ours_nor_what_was_brought() -> None:
    w = await pushed()
    (ours,) = entries(w)
    note = image("note", subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")
    w.put_behind(note, "team/app")
    body = listing(descriptor(OCI_MANIFEST, note.body))
    before = len(writes(w, FALLBACK))
    for _ in range(2):
        headers = await put(w, FALLBACK, body, OCI_INDEX)
        assert entries(w) == [ours, note.digest]
        assert headers["docker-content-digest"] == digest_of(body)
    assert len(writes(w, FALLBACK)) == before + 1
    listed = json.loads((await w.say(ListReferrers(REPO, APP.digest))).body)["manifests"]
    assert {entry["digest"] for entry in listed} == {ours, note.digest}


async def test_a_list_of_referrers_comes_back_whole_where_upstream_lost_it() -> None:
    w = await pushed()
    (ours,) = entries(w)
    before = json.loads(body_of(w, FALLBACK))["manifests"]
    del w.registry.shelf("team/app").tags[FALLBACK]
    theirs = put_bundle(w, "team/app", about(APP.digest), STRANGER.layer("sigstore-bundle", APP.digest))
    body = listing(*json.loads(body_of(w, FALLBACK))["manifests"])
    del w.registry.shelf("team/app").tags[FALLBACK]
    await put(w, FALLBACK, body, OCI_INDEX)
    assert entries(w) == [theirs, ours]
    assert json.loads(body_of(w, FALLBACK))["manifests"][-1:] == before


async def test_a_bundle_that_was_deleted_does_not_come_back_into_the_list() -> None:
    w = await pushed()
    (ours,) = entries(w)
    before, bundle = body_of(w, FALLBACK), w.registry.shelf("team/app").manifests[ours][1]
    await w.say(DeleteManifest(REPO, parse_reference(ours)))
    op = PushManifest(REPO, parse_reference(ours))
    assert (await w.say(op, user("mallory"), bundle, content_type=OCI_MANIFEST)).status == 201
    assert entries(w) == []
    await put(w, FALLBACK, before, OCI_INDEX)
    assert entries(w) == []


async def test_nor_does_a_denied_referrer() -> None:
    w = await pushed()
    (ours,) = entries(w)
    note = image("note", subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")
    w.put_behind(note, "team/app")
    await w.store.overrides.deny(Denial("d", note.digest, "**", "recalled", "eve", NOON))
    await put(w, FALLBACK, listing(descriptor(OCI_MANIFEST, note.body)), OCI_INDEX)
    assert entries(w) == [ours]


async def test_more_referrers_than_are_read_are_refused() -> None:
    w = await pushed(limits=Limits(tag_age_s=0, own_layers=2, referrers=6))
    notes = [image(str(n), subject=descriptor(APP.media_type, APP.body), artifactType="text/plain") for n in range(5)]
    for note in notes:
        w.put_behind(note, "team/app")
    told = [descriptor(OCI_MANIFEST, note.body) for note in notes]
    await put(w, FALLBACK, listing(*told[:4]), OCI_INDEX)
    before = body_of(w, FALLBACK)
    await denied(w, lambda: put(w, FALLBACK, listing(told[4]), OCI_INDEX), "too_large")
    assert body_of(w, FALLBACK) == before


async def test_where_upstream_has_the_api_ours_are_not_added_to_a_tag_that_a_client_keeps() -> None:
    w = await pushed(referrers=True)
    note = image("note", subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")
    w.put_behind(note, "team/app")
    body = listing(descriptor(OCI_MANIFEST, note.body))
    await put(w, FALLBACK, body, OCI_INDEX)
    assert body_of(w, FALLBACK) == body


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", None])
async def test_an_entry_that_is_gone_does_not_stop_pushes_for_ever(code: str | None) -> None:
    """Upstream checks what a list lists. A 404 that is not about that manifest is no proof that it is gone."""
    w = await world(registry=MemoryRegistry(referrers=False))
    gone, there = (image(n, subject=descriptor(APP.media_type, APP.body), artifactType="t/p") for n in "ab")
    w.put_behind(there, "team/app")
    told = [descriptor(OCI_MANIFEST, one.body) for one in (gone, there)]
    list_in_fallback(w.registry, "team/app", APP.digest, told)

    def answers(seen: Seen) -> Said | None:
        if getattr(seen.operation, "reference", "") == gone.digest:
            return Said(404, (("content-type", "text/html"),), b"<html>") if code is None else error(404, code)
        return None

    w.registry.hooks.append(answers)
    if code != "MANIFEST_UNKNOWN":
        with pytest.raises(Exception, match="was not signed"):
            await w.push(APP, "team/app", "v1")
        return
    assert (await w.push(APP, "team/app", "v1")).status == 201
    assert len(entries(w)) == 2
    assert entries(w)[0] == there.digest


async def test_a_client_can_add_to_a_list_of_which_an_entry_is_gone() -> None:
    w = await pushed()
    (ours,) = entries(w)
    gone, new = (image(n, subject=descriptor(APP.media_type, APP.body), artifactType="t/p") for n in "ab")
    w.put_behind(new, "team/app")
    there = json.loads(body_of(w, FALLBACK))["manifests"]
    list_in_fallback(w.registry, "team/app", APP.digest, [descriptor(OCI_MANIFEST, gone.body), *there])
    await put(w, FALLBACK, listing(descriptor(OCI_MANIFEST, new.body)), OCI_INDEX)
    assert entries(w) == [ours, new.digest]


async def test_no_signature_names_a_tag_that_holds_more_than_what_was_pushed() -> None:
    """A list under its own tag and another one: it is signed for the other, and lies there alone."""
    w = await pushed()
    note = image("note", subject=descriptor(APP.media_type, APP.body), artifactType="text/plain")
    w.put_behind(note, "team/app")
    body = listing(descriptor(OCI_MANIFEST, note.body))
    op = PushManifest(REPO, digest_of(body), (FALLBACK, parse_tag("lists")))
    assert (await w.say(op, body=body, content_type=OCI_INDEX)).status == 201
    assert w.tag("team/app", "lists") == digest_of(body)
    attached = [e for e in await w.store.ledger.entries(REPO, digest_of(body)) if e.stage is Stage.ATTACHED]
    assert {e.key.bound.rpartition("/")[2] for e in attached} == {"app", "app:lists"}


async def test_a_list_that_is_full_takes_no_more_of_others_and_all_of_ours() -> None:
    """Pushed one by one, as artifacts that refer to the image: who lists thousands would hide ours behind them."""
    w = await pushed(limits=Limits(tag_age_s=0, own_layers=2, referrers=6))
    notes = [image(str(n), subject=descriptor(APP.media_type, APP.body), artifactType="text/plain") for n in range(4)]
    for note in notes[:3]:
        assert (await w.push(note, "team/app")).status == 201
    for blob in notes[3].blobs:
        w.registry.put_blob("team/app", blob)
    op = PushManifest(REPO, notes[3].digest)
    with pytest.raises(Fault) as refused:
        await w.say(op, body=notes[3].body, content_type=OCI_MANIFEST)
    assert refused.value.reason == "too_large"
    assert len(entries(w)) == 4
    await becomes_another(w)
    await w.push(APP, "team/app", "v1")
    assert len(entries(w)) == 5, "the bundle of the next key"


async def becomes_another(w: World) -> None:
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), KeyState.RETIRED, NOON)
    await w.store.keybook.add(w.signer.create("release"))
