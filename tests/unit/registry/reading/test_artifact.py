from __future__ import annotations

import pytest

from proxy.formats import carrier
from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_MANIFEST, parse
from proxy.oci.operation import PullBlob
from proxy.oci.reference import digest_of
from proxy.registry.reading.artifact import is_signature_artifact
from proxy.registry.request import Request
from proxy.trust.question import Resolved
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.images import image
from tests.worlds.softkey import soft_key

LAYER = soft_key().layer("cosign-simple", digest_of(b"image"))
BODY = carrier.sig_manifest(None, [LAYER.descriptor]) or b""
ASKED = Request(ANYBODY, "r")


def resolved(body: bytes) -> Resolved:
    manifest = parse(body, OCI_MANIFEST, Limits())
    return Resolved(digest_of(body), manifest.media_type, body, manifest)


async def known(w: World) -> bool | None:
    fact = await w.store.facts.manifest(REPO, digest_of(BODY))
    return fact.artifact if fact else None


async def test_proven_by_its_bytes_once_and_remembered_as_a_fact() -> None:
    w = await world()
    w.registry.put_blob("team/app", LAYER.data)
    assert await is_signature_artifact(REPO, resolved(BODY), ASKED.fresh(), w.ports)
    assert await known(w) is True
    reads = w.registry.count(PullBlob)
    assert await is_signature_artifact(REPO, resolved(BODY), ASKED.fresh(), w.ports)
    assert w.registry.count(PullBlob) == reads


async def test_an_image_is_not_even_looked_at() -> None:
    w = await world()
    assert not await is_signature_artifact(REPO, resolved(image().body), ASKED.fresh(), w.ports)
    assert not w.registry.seen


async def test_what_could_not_be_read_is_not_remembered() -> None:
    w = await world()
    w.registry.put_blob("team/app", LAYER.data)
    w.registry.fail(PullBlob, 503)
    with pytest.raises(Unavailable):
        await is_signature_artifact(REPO, resolved(BODY), ASKED.fresh(), w.ports)
    assert await known(w) is None
    assert await is_signature_artifact(REPO, resolved(BODY), ASKED.fresh(), w.ports)


async def test_bytes_that_are_not_there_prove_nothing_for_ever() -> None:
    w = await world()
    assert not await is_signature_artifact(REPO, resolved(BODY), ASKED.fresh(), w.ports)
    assert await known(w) is None
