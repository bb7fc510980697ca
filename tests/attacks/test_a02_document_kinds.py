"""Attack 2: every kind of document has a rule of its own, and what has none is refused."""

from __future__ import annotations

import json

import pytest

from proxy.oci.manifest import DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_INDEX, Kind
from proxy.oci.operation import PullManifest, PushManifest
from proxy.oci.reference import digest_of, parse_reference
from tests.worlds.conversation import REPO, World, world
from tests.worlds.denials import denials, denied
from tests.worlds.images import LAYER, Image, descriptor, dump, image, index

A, B = image("a"), image("b", docker=True)
SCHEMA1 = dump(
    {"schemaVersion": 1, "name": "team/app", "tag": "v1", "architecture": "amd64", "fsLayers": [], "history": []}
)
CACHE_LAYER = b"a layer of a build cache"
CACHE_CONFIG = b"{}"
JUDGED: dict[str, Image] = {
    "image": A,
    "docker schema 2": B,
    "index": index(A, B),
    "docker list": Image(
        dump({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor(DOCKER_MANIFEST, B.body)]}),
        DOCKER_LIST,
        (),
        (B,),
    ),
    "nested index": index(index(A), index(B)),
    "artifact": image("chart", artifactType="application/vnd.cncf.helm.config.v1+json"),
    "sbom": image("sbom", layer_type="application/spdx+json", subject=descriptor(A.media_type, A.body)),
    "attestation child": index(
        A, image("att", layer_type="application/vnd.in-toto+json"), annotations={"vnd.docker.reference.type": "x"}
    ),
    "old build cache": Image(
        dump(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [
                    descriptor(LAYER, CACHE_LAYER),
                    descriptor("application/vnd.buildkit.cacheconfig.v0", CACHE_CONFIG),
                ],
            }
        ),
        OCI_INDEX,
        (CACHE_LAYER, CACHE_CONFIG),
    ),
    "without a mediaType": Image(
        dump({k: v for k, v in json.loads(A.body).items() if k != "mediaType"}), A.media_type, A.blobs
    ),
}
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "schema 1": (SCHEMA1, DOCKER_SCHEMA1, "not_judged"),
    "schema 1, signed": (SCHEMA1, DOCKER_SCHEMA1_SIGNED, "not_judged"),
    "unknown media type": (
        dump({"schemaVersion": 2, "mediaType": "application/vnd.evil.manifest.v1+json", "layers": []}),
        "application/vnd.evil.manifest.v1+json",
        "not_judged",
    ),
    "OCI artifact manifest": (
        dump({"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": []}),
        "application/vnd.oci.artifact.manifest.v1+json",
        "not_judged",
    ),
    "no manifest at all": (b"#!/bin/sh\n", "application/octet-stream", "ambiguous_manifest"),
}


async def put_behind(w: World, body: bytes, media_type: str, tag: str) -> None:
    w.registry.shelf("team/app").manifests[digest_of(body)] = (media_type, body)
    w.registry.shelf("team/app").tags[tag] = digest_of(body)


@pytest.mark.parametrize("kind", JUDGED)
async def test_what_is_judged_comes_out_signed_and_is_blocked_unsigned(kind: str) -> None:
    one = JUDGED[kind]
    w = await world()
    w.put_behind(A, "team/app")
    await w.push(one, "team/app", "v1")
    assert await w.store.ledger.entries(REPO, one.digest)
    for reference in ("v1", one.digest):
        assert (await w.pull("team/app", reference)).body == one.body
    bare = await world()
    bare.put_behind(one, "team/app", "v1")
    for reference in ("v1", one.digest):
        await denied(bare, lambda r=reference: bare.pull("team/app", r), "unsigned")  # type: ignore[misc]


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_has_no_rule_is_refused_on_push(kind: str) -> None:
    body, media_type, reason = REFUSED[kind]
    w = await world()
    for reference in ("v1", digest_of(body)):
        op = PushManifest(REPO, parse_reference(reference))
        fault = await denied(w, lambda op=op: w.say(op, body=body, content_type=media_type), reason)  # type: ignore[misc]
        assert (fault.code, fault.status) == ("MANIFEST_INVALID", 400)
    assert not w.registry.seen
    assert not w.signer.made


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_has_no_rule_is_denied_on_pull(kind: str) -> None:
    body, media_type, reason = REFUSED[kind]
    w = await world()
    await put_behind(w, body, media_type, "v1")
    for reference in ("v1", digest_of(body)):
        op = PullManifest(REPO, parse_reference(reference))
        fault = await denied(w, lambda op=op: w.say(op, accept=f"{A.media_type}, {media_type}"), reason)  # type: ignore[misc]
        assert (fault.code, fault.status) == ("DENIED", 403)


async def test_the_layers_of_an_old_build_cache_are_blobs_and_nobody_signs_them() -> None:
    cache = JUDGED["old build cache"]
    w = await world()
    await w.push(cache, "team/app", "cache")
    assert {e.key.digest for e in w.store.ledger.rows.values()} == {cache.digest}
    assert (await w.blob("team/app", digest_of(CACHE_LAYER))).status == 200


def test_a_kind_is_only_added_with_a_rule() -> None:
    """`match` statements over Kind are held complete by the type checker; this is the list they are complete for."""
    assert {kind.value for kind in Kind} == {"image", "index"}


async def test_a_repository_without_a_policy_has_no_rule_for_anything() -> None:
    w = await world()
    w.rules.set()
    w.put_behind(A, "team/app", "v1")
    await denied(w, lambda: w.pull("team/app", "v1"), "no_policy")
    op = PushManifest(REPO, parse_reference("v2"))
    await denied(w, lambda: w.say(op, body=A.body, content_type=A.media_type), "no_policy")
    assert {e.reason for e in denials(w)} == {"no_policy"}
