"""Attacks 5, 6 and 7 through the whole proxy: refused on push, denied on pull, on the record, nothing written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from proxy.oci.limits import KIB, MIB, Limits
from proxy.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from proxy.oci.operation import PushManifest
from proxy.oci.reference import digest_of, parse_digest, parse_reference
from proxy.registry.handle import handle
from proxy.registry.request import Request
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.denials import denied
from tests.worlds.images import dump, image

APP = image("app")
DOCUMENT = json.loads(APP.body)
EVIL = {**DOCUMENT["layers"][0], "digest": "sha256:" + "e" * 64}
OTHER = dump(DOCUMENT)[:-1]
AMBIGUOUS: dict[str, bytes] = {
    "duplicate key": OTHER + b',"layers":[]}',
    "duplicate key with an escape": OTHER + b',"\\u006cayers":[]}',
    "key in another case": OTHER + b',"Layers":[]}',
    "long s": OTHER + ',"\u017fubject":null}'.encode(),
    "kelvin sign": dump({**DOCUMENT, "config": {**DOCUMENT["config"]}})[:-1]
    + ',"x":{"\u212a":1},"MediaType":""}'.encode(),
    "byte order mark": b"\xef\xbb\xbf" + APP.body,
    "utf-16": APP.body.decode().encode("utf-16"),
    "NaN": OTHER + b',"x":NaN}',
    "lone surrogate": OTHER + b',"x":"\\ud800"}',
    "four thousand digits": OTHER + b',"x":' + b"9" * 4000 + b"}",
    "deep": OTHER + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "image and index": OTHER + b',"manifests":[]}',
    "two documents": APP.body + APP.body,
    "digest in capitals": dump({**DOCUMENT, "layers": [{**EVIL, "digest": "sha256:" + "E" * 64}]}),
    "digest of another length": dump({**DOCUMENT, "layers": [{**EVIL, "digest": "sha256:" + "e" * 63}]}),
    "digest of an unknown algorithm": dump({**DOCUMENT, "layers": [{**EVIL, "digest": "md5:" + "e" * 32}]}),
    "digest that climbs": dump({**DOCUMENT, "layers": [{**EVIL, "digest": "sha256:../../" + "e" * 58}]}),
    "subject digest": dump({**DOCUMENT, "subject": {**EVIL, "digest": "sha256:" + "E" * 64}}),
}


async def put(w: World, body: bytes, content_type: str, reference: str = "v1") -> object:
    return await w.say(PushManifest(REPO, parse_reference(reference)), body=body, content_type=content_type)


def put_behind(w: World, body: bytes, media_type: str) -> None:
    w.registry.shelf("team/app").manifests[digest_of(body)] = (media_type, body)
    w.registry.shelf("team/app").tags["v1"] = digest_of(body)


@pytest.mark.parametrize("what", AMBIGUOUS)
async def test_documents_with_two_readings(what: str) -> None:
    w, body = await world(), AMBIGUOUS[what]
    for reference in ("v1", digest_of(body)):
        await denied(w, lambda r=reference: put(w, body, OCI_MANIFEST, r), "ambiguous_manifest")  # type: ignore[misc]
    assert not w.registry.seen
    put_behind(w, body, OCI_MANIFEST)
    for reference in ("v1", digest_of(body)):
        await denied(w, lambda r=reference: w.pull("team/app", r), "ambiguous_manifest")  # type: ignore[misc]
    assert not w.signer.made


@pytest.mark.parametrize("claimed", [OCI_INDEX, DOCKER_MANIFEST, "text/html"])
async def test_a_media_type_that_is_not_the_content_type(claimed: str) -> None:
    w = await world()
    await denied(w, lambda: put(w, APP.body, claimed), "ambiguous_manifest")
    put_behind(w, APP.body, claimed)
    await denied(w, lambda: w.pull("team/app", APP.digest), "ambiguous_manifest")


async def test_even_a_signature_of_ours_makes_no_ambiguous_document_pullable() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.store.clock.advance(120)
    w.ports.cache.bodies.clear()
    put_behind(w, APP.body, OCI_INDEX)
    await denied(w, lambda: w.pull("team/app", APP.digest), "ambiguous_manifest")


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, digest_of(APP.body, "sha512")])
async def test_pushed_under_a_digest_that_is_not_its_own(digest: str) -> None:
    w = await world()
    with pytest.raises(Exception, match="the manifest's digest is"):
        await put(w, APP.body, OCI_MANIFEST, digest)
    assert not w.registry.seen
    (row,) = w.store.journal.events
    assert (row.kind, row.detail["code"]) == ("push.denied", "DIGEST_INVALID")


async def test_pulled_under_another_algorithm_than_we_judge_by() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    long = digest_of(APP.body, "sha512")
    w.registry.shelf("team/app").manifests[long] = (APP.media_type, APP.body)
    await denied(w, lambda: w.pull("team/app", long), "not_judged")
    assert parse_digest(long)


def padded(size: int) -> bytes:
    return APP.body[:-1] + b" " * (size - len(APP.body)) + b"}"


async def test_one_byte_more_than_is_read() -> None:
    w = await world(limits=Limits(manifest_bytes=64 * KIB, tag_age_s=0))
    w.put_behind(APP, "team/app")
    await put(w, padded(64 * KIB), OCI_MANIFEST)
    more = padded(64 * KIB + 1)
    fault = await denied(w, lambda: put(w, more, OCI_MANIFEST, "v2"), "too_large")
    assert (fault.code, fault.status) == ("SIZE_INVALID", 413)
    w.registry.shelf("team/app").manifests[digest_of(more)] = (OCI_MANIFEST, more)
    await denied(w, lambda: w.pull("team/app", digest_of(more)), "not_judged", "too_large")


async def test_a_body_without_an_end_is_not_read_to_the_end() -> None:
    w = await world()
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += MIB
            yield bytes(MIB)

    async def push() -> object:
        op = PushManifest(REPO, parse_reference("v1"))
        return await handle(op, Request(ANYBODY, "r", (("content-type", OCI_MANIFEST),), endless()), w.ports)

    await denied(w, push, "too_large")
    assert read <= 2 * 6 * MIB


class Unread:
    """A body that nobody may read."""

    def __aiter__(self) -> Unread:
        return self

    async def __anext__(self) -> bytes:
        raise AssertionError("nobody should have read this")


@pytest.mark.parametrize("length", [64 * MIB, 2**62])
async def test_a_length_that_is_too_much_is_believed_at_once(length: int) -> None:
    w = await world()

    async def push() -> object:
        op = PushManifest(REPO, parse_reference("v1"))
        return await handle(op, Request(ANYBODY, "r", (("content-type", OCI_MANIFEST),), Unread(), length), w.ports)

    await denied(w, push, "too_large")


@pytest.mark.parametrize("body", [b"", b"{}", APP.body[:-1]])
async def test_nothing_and_half_of_something(body: bytes) -> None:
    w = await world()
    await denied(w, lambda: put(w, body, OCI_MANIFEST), "ambiguous_manifest")
    put_behind(w, body, OCI_MANIFEST)
    await denied(w, lambda: w.pull("team/app", "v1"), "ambiguous_manifest")
