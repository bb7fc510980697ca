from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.formats import carrier
from proxy.oci.faults import Unavailable
from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import PullBlob
from proxy.oci.reference import Digest, digest_of
from proxy.registry.request import Request
from proxy.registry.writing.made_here import layers_made_here, referrers_made_here
from proxy.trust.keys import BookKey, KeyState, fingerprint
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.foreign import put_bundle
from tests.worlds.images import image
from tests.worlds.memory import NOON
from tests.worlds.softkey import SoftKey, about, soft_key

APP = image("app")
ASKED = Request(ANYBODY, "r")
STRANGER = soft_key(name="stranger")


async def ours() -> tuple[World, SoftKey]:
    """A proxy with one key more, which a test can sign with."""
    w, key = await world(), soft_key(name="beside")
    known = BookKey(
        "beside", "soft", "0001", fingerprint(key.spki)[:32], "beside", "ecdsa-p256", key.spki, KeyState.TRUSTED, NOON
    )
    await w.store.keybook.add(known)
    return w, key


@pytest.mark.parametrize(
    "became", [(), (KeyState.RETIRED,), (KeyState.RETIRED, KeyState.DESTROYED), (KeyState.COMPROMISED,)]
)
async def test_whatever_has_become_of_the_key_it_is_ours(became: tuple[KeyState, ...]) -> None:
    w, key = await ours()
    layers = [k.layer("cosign-simple", APP.digest) for k in (key, STRANGER)]
    for layer in layers:
        w.registry.put_blob("team/app", layer.data)
    for state in became:
        await w.store.keybook.set_state(fingerprint(key.spki), state, NOON)
    found = await layers_made_here(REPO, APP.digest, [layer.descriptor for layer in layers], ASKED.fresh(), w.ports)
    assert found == [layers[0].descriptor]


async def test_what_it_says_it_is_about_does_not_matter() -> None:
    w, key = await ours()
    other = key.layer("cosign-simple", digest_of(b"another image"), "another.example/repository:tag")
    w.registry.put_blob("team/app", other.data)
    assert await layers_made_here(REPO, APP.digest, [other.descriptor], ASKED.fresh(), w.ports)


async def test_what_is_said_beside_it_is_not_believed() -> None:
    w, key = await ours()
    mine, theirs = (
        key.layer("cosign-simple", APP.digest),
        STRANGER.layer("cosign-simple", APP.digest, "their.example/a"),
    )
    w.registry.put_blob("team/app", theirs.data)
    claims = replace(theirs.descriptor, annotations=mine.descriptor.annotations)
    assert not await layers_made_here(REPO, APP.digest, [claims], ASKED.fresh(), w.ports)


async def test_what_cannot_be_read_was_made_by_nobody_and_silence_is_no_answer() -> None:
    w, key = await ours()
    layer = key.layer("cosign-simple", APP.digest)
    assert not await layers_made_here(REPO, APP.digest, [layer.descriptor], ASKED.fresh(), w.ports)
    w.registry.put_blob("team/app", layer.data)
    w.registry.fail(PullBlob, 503)
    with pytest.raises(Unavailable):
        await layers_made_here(REPO, APP.digest, [layer.descriptor], ASKED.fresh(), w.ports)


@pytest.mark.parametrize("form", ["sigstore-bundle", "notation-jws", "notation-cose"])
async def test_referrers_are_opened_and_images_are_not(form: str) -> None:
    w, key = await ours()
    found = [put_bundle(w, "team/app", about(APP.digest), k.layer(form, APP.digest)) for k in (key, STRANGER)]
    w.put_behind(APP, "team/app")
    gone = Digest("sha256:" + "0" * 64)
    everything = [*found, APP.digest, gone]
    assert await referrers_made_here(REPO, APP.digest, everything, ASKED.fresh(), w.ports) == {found[0]}


async def test_a_bundle_without_its_layer_says_nothing() -> None:
    w, key = await ours()
    layer = key.layer("sigstore-bundle", APP.digest)
    body = carrier.referrer_manifest(about(APP.digest), layer.descriptor, layer.descriptor.media_type, {}, NOON)
    digest = w.registry.put_manifest("team/app", body, OCI_MANIFEST)
    assert await referrers_made_here(REPO, APP.digest, [digest], ASKED.fresh(), w.ports) == set()
