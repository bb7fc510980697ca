"""Attack 33: a pushed list of signatures takes none of ours off, brings none back, and hides none behind others."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from proxy.formats import carrier
from proxy.formats.algorithms import ORDERS, from_base64, to_base64
from proxy.formats.simple_signing import SIGNATURE
from proxy.journal.event import EventKind
from proxy.oci.limits import Limits
from proxy.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from proxy.oci.operation import DeleteManifest, PushManifest
from proxy.oci.reference import digest_of, parse_repository
from proxy.registry.cache import Cache
from proxy.trust.denial import Denial
from proxy.trust.keys import KeyState, fingerprint
from tests.worlds.conversation import REPO, World, world
from tests.worlds.denials import denied
from tests.worlds.images import dump, image, index
from tests.worlds.memory import NOON
from tests.worlds.pushed_lists import (
    APP,
    FALLBACK,
    SIG,
    STRANGER,
    body_of,
    layers,
    listing,
    of_stranger,
    pushed,
    put,
    sig,
    writes,
)
from tests.worlds.registry import Said, Seen


async def becomes(w: World, state: KeyState) -> None:
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), state, NOON)
    await w.store.keybook.add(w.signer.create("release"))


async def test_what_is_pushed_and_ours_lie_there_after_one_write() -> None:
    w = await pushed()
    ours, theirs = layers(w), of_stranger(w)
    before = len(writes(w, SIG))
    headers = await put(w, SIG, sig(theirs))
    assert layers(w) == [*ours, theirs]
    assert len(writes(w, SIG)) == before + 1, "at no moment only theirs is there"
    assert headers["docker-content-digest"] == digest_of(sig(theirs))
    assert headers["location"] == f"/v2/team/app/manifests/{digest_of(sig(theirs))}"
    assert (await w.pull("team/app", digest_of(sig(theirs)))).body == sig(theirs)
    assert (await w.pull("team/app", SIG)).body == body_of(w, SIG)
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.PUSH_ACCEPTED and e.reference == SIG]
    assert row.detail["merged"] == w.tag("team/app", SIG)


async def test_the_second_copy_writes_nothing_and_grows_nothing() -> None:
    w = await pushed()
    theirs = of_stranger(w)
    await put(w, SIG, sig(theirs))
    tags, there = len(writes(w, SIG)), set(w.registry.shelf("team/app").manifests)
    for _ in range(3):
        await put(w, SIG, sig(theirs))
    assert len(writes(w, SIG)) == tags
    assert set(w.registry.shelf("team/app").manifests) == there


async def test_a_copy_takes_nobodys_signature_off() -> None:
    w = await pushed()
    here, brought = of_stranger(w, 1), of_stranger(w, 2)
    await put(w, SIG, sig(*layers(w), here))
    await put(w, SIG, sig(brought))
    assert layers(w)[-2:] == [here, brought]


async def test_a_list_that_holds_everything_is_taken_byte_for_byte() -> None:
    w = await pushed()
    whole = sig(*layers(w), of_stranger(w))
    await put(w, SIG, whole)
    assert body_of(w, SIG) == whole


async def test_what_was_deleted_does_not_come_back() -> None:
    w = await pushed()
    before, theirs = body_of(w, SIG), of_stranger(w)
    await w.say(DeleteManifest(REPO, SIG))
    await put(w, SIG, before)
    assert w.tag("team/app", SIG) is None
    await put(w, SIG, sig(*json.loads(before)["layers"], theirs))
    assert layers(w) == [theirs]
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.PUSH_ACCEPTED and "merged" in e.detail]
    assert row.detail["left_out"] == 2


async def test_nor_with_the_other_half_of_its_curve_point() -> None:
    """(r, n - s) is as good a signature as (r, s), and reads otherwise."""
    w = await pushed()
    first = layers(w)[0]
    r, s = decode_dss_signature(from_base64(first["annotations"][SIGNATURE]) or b"")
    other = to_base64(encode_dss_signature(r, ORDERS["secp256r1"] - s))
    before = body_of(w, SIG)
    await put(w, SIG, sig({**first, "annotations": {SIGNATURE: other}}))
    assert body_of(w, SIG) == before


@pytest.mark.parametrize("state", [KeyState.COMPROMISED, KeyState.RETIRED])
async def test_what_a_key_signed_that_does_not_count_any_more_does_not_come_back(state: KeyState) -> None:
    w = await pushed()
    old = layers(w)
    await becomes(w, state)
    await w.push(APP, "team/app", "v1")
    shelf = w.registry.shelf("team/app")
    del shelf.tags[SIG]
    await put(w, SIG, sig(*old, of_stranger(w)))
    marks = {layer["annotations"][SIGNATURE] for layer in layers(w)}
    assert not marks & {layer["annotations"][SIGNATURE] for layer in old}
    assert len(marks) == 3, "two by the new key, one of the stranger"


async def test_a_compromised_key_leaves_the_list_with_the_next_copy() -> None:
    w = await pushed()
    old, theirs = layers(w), of_stranger(w)
    await becomes(w, KeyState.COMPROMISED)
    await put(w, SIG, sig(*old, theirs))
    assert layers(w) == [theirs]


async def test_what_was_signed_for_another_repository_of_this_registry_is_left_out() -> None:
    w = await pushed()
    await w.push(APP, "team/copy", "v1")
    source, own = body_of(w, SIG), body_of(w, SIG, "team/copy")
    for layer in json.loads(source)["layers"]:
        w.registry.put_blob("team/copy", w.registry.shelf("team/app").blobs[layer["digest"]])
    op = PushManifest(parse_repository("team/copy"), SIG)
    assert (await w.say(op, body=source, content_type=OCI_MANIFEST)).status == 201
    assert body_of(w, SIG, "team/copy") == own


async def test_ours_are_as_we_write_them_whatever_stands_beside_them() -> None:
    """A certificate beside it has verifiers reject a signature that is good."""
    w = await pushed()
    ours = layers(w)
    beside = {"dev.sigstore.cosign/certificate": "x"}
    mangled = [{**layer, "annotations": {**layer["annotations"], **beside}} for layer in ours]
    w.registry.shelf("team/app").tags.pop(SIG)
    await put(w, SIG, sig(*mangled, of_stranger(w)))
    assert layers(w)[:-1] == ours


async def test_more_than_fits_is_refused_and_room_is_kept_for_ours() -> None:
    w = await pushed(limits=Limits(tag_age_s=0, own_layers=4, signature_layers=10))
    six = [of_stranger(w, n) for n in range(6)]
    await put(w, SIG, sig(*six[:3]))
    await put(w, SIG, sig(*six))
    before, one_more = body_of(w, SIG), sig(of_stranger(w, 7))
    fault = await denied(w, lambda: put(w, SIG, one_more), "too_large")
    assert body_of(w, SIG) == before
    assert "larger than what is inspected" in fault.message
    await w.push(APP, "team/app", "v2")
    assert len(layers(w)) == 9, "ours for v2 has room all the same"


async def test_a_thousand_and_one_layers_are_too_many() -> None:
    w = await pushed()
    body = sig(*[of_stranger(w)] * 1001)
    await denied(w, lambda: put(w, SIG, body), "too_large")


async def test_a_list_of_more_signatures_than_a_pull_would_prove_is_taken_and_can_be_read() -> None:
    w = await pushed()
    many = [{**of_stranger(w), "annotations": {SIGNATURE: to_base64(n.to_bytes(70))}} for n in range(300)]
    await put(w, SIG, sig(*many))
    assert len(layers(w)) == 302
    assert (await w.pull("team/app", SIG)).body == body_of(w, SIG)
    await w.push(APP, "team/app", "v2")
    assert len(layers(w)) == 303
    assert (await w.pull("team/app", SIG)).body == body_of(w, SIG)


@pytest.mark.parametrize("evil", [image("evil"), index(image("a"))], ids=["image", "index"])
@pytest.mark.parametrize("known", [True, False])
async def test_nothing_but_signatures_is_pushed_under_a_sig_name(evil: Any, known: bool) -> None:
    w = await pushed() if known else await world()
    w.put_behind(evil, "team/app")
    before = dict(w.registry.shelf("team/app").tags)
    fault = await denied(w, lambda: put(w, SIG, evil.body, evil.media_type), "tag_reserved")
    assert "kept for lists of signatures; push it under another tag" in fault.message
    assert w.registry.shelf("team/app").tags == before


async def test_a_tar_that_calls_itself_a_signature_is_no_list() -> None:
    w = await pushed()
    digest = w.registry.put_blob("team/app", b"#!/bin/sh")
    kind = layers(w)[0]["mediaType"]
    body = sig({"mediaType": kind, "digest": digest, "size": 9, "annotations": {SIGNATURE: "QQ=="}})
    await denied(w, lambda: put(w, SIG, body), "tag_reserved")


@pytest.mark.parametrize("size", [0, 1])
async def test_layers_that_are_not_there_are_asked_for(size: int) -> None:
    w = await pushed()
    there, missing = layers(w)[0], carrier.describe(STRANGER.layer("cosign-simple", APP.digest).descriptor)
    layer = {**there, "size": 5} if size else missing
    before = body_of(w, SIG)
    with pytest.raises(Exception, match="push them first"):
        await w.say(PushManifest(REPO, SIG), body=sig(layer), content_type=OCI_MANIFEST)
    assert body_of(w, SIG) == before


async def test_what_was_kept_there_before_is_replaced_and_the_journal_has_its_digest() -> None:
    w = await world()
    kept = image("kept")
    w.put_behind(kept, "team/app", SIG)
    await w.push(APP, "team/app", "v1")
    assert len(layers(w)) == 2
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.TAG_REPLACED]
    assert (row.repository, row.reference, row.digest) == ("team/app", SIG, kept.digest)
    w.put_behind(kept, "team/app", SIG)
    await put(w, SIG, sig(of_stranger(w)))
    assert len(layers(w)) == 3
    assert len([e for e in w.store.journal.events if e.kind is EventKind.TAG_REPLACED]) == 2


async def test_a_list_in_dockers_media_types_is_extended_not_replaced() -> None:
    w = await world()
    theirs = of_stranger(w)
    config = b"{}"
    about = {"mediaType": carrier.DOCKER_CONFIG, "size": 2, "digest": w.registry.put_blob("team/app", config)}
    body = dump({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": about, "layers": [theirs]})
    await put(w, SIG, body, DOCKER_MANIFEST)
    assert body_of(w, SIG) == body
    await w.push(APP, "team/app", "v1")
    assert layers(w)[0] == theirs
    assert len(layers(w)) == 3
    assert EventKind.TAG_REPLACED not in w.store.journal.kinds()


async def test_the_list_of_a_denied_image_is_not_taken() -> None:
    w = await pushed()
    before = body_of(w, SIG)
    await w.store.overrides.deny(Denial("d", APP.digest, "**", "recalled", "eve", NOON))
    for tag, body, kind in ((SIG, sig(of_stranger(w)), OCI_MANIFEST), (FALLBACK, listing(), OCI_INDEX)):
        await denied(w, lambda t=tag, b=body, k=kind: put(w, t, b, k), "denied_digest")  # type: ignore[misc]
    assert body_of(w, SIG) == before


async def test_another_writer_between_our_look_and_our_write_loses_nothing() -> None:
    """Somebody writes upstream itself, or through another proxy that does not share our store."""
    w = await pushed()
    ours, theirs, third = layers(w), of_stranger(w, 1), of_stranger(w, 2)
    raced = False

    def race(seen: Seen) -> Said | None:
        nonlocal raced
        if isinstance(seen.operation, PushManifest) and seen.operation.reference == SIG and not raced:
            raced = True
            w.registry.answer(seen)  # ours arrives, then the other's, made of what was there before
            w.registry.put_manifest("team/app", sig(*ours, third), OCI_MANIFEST, SIG)
            return Said(201, (("content-length", "0"),))
        return None

    w.registry.hooks.append(race)
    await put(w, SIG, sig(theirs))
    assert raced
    assert layers(w) == [*ours, third, theirs]


async def test_two_servers_and_a_client_lose_nothing() -> None:
    """One server attaches for a second tag, the other takes a copy of the list."""
    w = await pushed()
    w.store.tags.sole = False
    other = replace(w, ports=replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic)))

    async def slowly(_seen: Seen) -> None:
        await asyncio.sleep(0)

    w.registry.pause = slowly
    theirs = [of_stranger(w, n) for n in range(10)]
    for n, layer in enumerate(theirs):
        await asyncio.gather(w.push(APP, "team/app", f"t{n}"), put(other, SIG, sig(layer)))
    assert len(layers(w)) == 2 + 10 + 10
    assert [layer for layer in layers(w) if layer in theirs] == theirs
