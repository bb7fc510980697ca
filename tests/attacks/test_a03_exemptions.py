"""Attack 3 through the proxy: whatever is called a signature, a cosign or an artifact is an image all the same."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from proxy.formats import carrier
from proxy.formats.simple_signing import MEDIA_TYPE, SIGNATURE
from proxy.formats.table import FORMATS
from proxy.oci.manifest import EMPTY_JSON, OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST, Descriptor
from proxy.oci.operation import PullManifest
from proxy.oci.reference import digest_of, parse_tag, signature_tag
from tests.worlds.conversation import REPO, user, world
from tests.worlds.denials import denied
from tests.worlds.images import Image, descriptor, dump, image
from tests.worlds.polyglot import payload
from tests.worlds.softkey import soft_key

SUBJECT = image("subject")
TAR = b"not quite a tar, but nobody parses it as a signature"
NOTATION = "application/vnd.cncf.notary.signature"
LAYER_TYPES = [
    *sorted(media_type for form in FORMATS.values() for media_type in form.media_types),
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.in-toto+json",
    "application/jose+json",
    "application/cose",
    "application/spdx+json",
    "text/spdx",
    "application/vnd.cyclonedx+json",
]


def carrying(media_type: str, data: bytes = TAR, config: bytes = EMPTY_JSON, **more: object) -> Image:
    """A manifest in the shape of a signature artifact, around these bytes."""
    layer = descriptor(media_type, data, annotations={SIGNATURE: "QUJD"})
    kind = OCI_EMPTY if config == EMPTY_JSON else OCI_CONFIG
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(kind, config),
        "layers": [layer],
        **more,
    }
    return Image(dump(body), OCI_MANIFEST, (config, data))


def no_layers() -> Image:
    return carrying("", layers=[])


def subject() -> dict[str, object]:
    return descriptor(SUBJECT.media_type, SUBJECT.body)


GENUINE = soft_key().layer("cosign-simple", SUBJECT.digest)
RUNNABLE = dump({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/tool"]}, "rootfs": {}})
MASKS: dict[str, Callable[[], Image]] = {
    **{f"layers of {t}": (lambda t=t: carrying(t)) for t in LAYER_TYPES},  # type: ignore[misc]
    "a signature artifactType over real layers": lambda: image("x", artifactType=MEDIA_TYPE, subject=subject()),
    "a bundle artifactType": lambda: image("x", artifactType="application/vnd.dev.sigstore.bundle.v0.3+json"),
    "a notation artifactType": lambda: image("x", artifactType=NOTATION, subject=subject()),
    "an empty config over one tar": lambda: carrying("application/vnd.oci.image.layer.v1.tar"),
    "a subject": lambda: image("x", subject=subject()),
    "no layers at all": no_layers,
    "a genuine signature and a tar": lambda: carrying(
        "", layers=[carrier.describe(GENUINE.descriptor), descriptor("application/vnd.oci.image.layer.v1.tar", TAR)]
    ),
    "a genuine signature and a config that runs": lambda: carrying(MEDIA_TYPE, GENUINE.data, RUNNABLE),
    "a payload that is a tar archive too": lambda: carrying(MEDIA_TYPE, payload(SUBJECT.digest)),
    "an empty layer": lambda: carrying(MEDIA_TYPE, b""),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("tag", ["latest", signature_tag(SUBJECT.digest), signature_tag(SUBJECT.digest)[:-4]])
async def test_it_is_an_image_when_pulled(mask: str, tag: str) -> None:
    w = await world()
    w.registry.put_blob("team/app", GENUINE.data)
    w.registry.put_blob("team/app", TAR)
    dressed = MASKS[mask]()
    w.put_behind(dressed, "team/app", tag)
    await denied(w, lambda: w.pull("team/app", tag), "unsigned")
    await denied(w, lambda: w.pull("team/app", dressed.digest), "unsigned")
    for blob in dressed.blobs[1:]:
        await denied(w, lambda b=blob: w.blob("team/app", digest_of(b)), "unlisted_blob")  # type: ignore[misc]


@pytest.mark.parametrize("mask", MASKS)
async def test_it_is_an_image_when_pushed_and_comes_out_signed(mask: str) -> None:
    w = await world()
    w.registry.put_blob("team/app", GENUINE.data)
    w.registry.put_blob("team/app", TAR)
    dressed = MASKS[mask]()
    await w.push(dressed, "team/app", "latest")
    entries = await w.store.ledger.entries(REPO, dressed.digest)
    assert len(entries) == 3
    assert (await w.pull("team/app", "latest")).body == dressed.body


@pytest.mark.parametrize(
    "headers",
    [
        {"user_agent": "cosign/v3.1.3 (linux; amd64)"},
        {"user_agent": "notation/1.3.2"},
        {"x_countersign": "allow", "x_forwarded_user": "release-manager", "x_remote_user": "admin"},
        {"accept": "application/vnd.dev.cosign.simplesigning.v1+json"},
        {"accept": "*/*"},
        {"x_forwarded_for": "127.0.0.1", "forwarded": "for=127.0.0.1"},
        {"cookie": "admin=1", "x_original_method": "HEAD", "x_http_method_override": "HEAD"},
    ],
    ids=lambda h: next(iter(h)),
)
async def test_no_header_earns_anything(headers: dict[str, str]) -> None:
    w = await world()
    w.put_behind(image("bad"), "team/app", "bad")
    op = PullManifest(REPO, parse_tag("bad"))
    await denied(w, lambda: w.say(op, user("cosign"), None, **headers), "unsigned")


async def test_a_genuine_signature_artifact_is_served_and_not_signed() -> None:
    w = await world()
    w.put_behind(SUBJECT, "team/app")
    artifact = carrying(MEDIA_TYPE, GENUINE.data)
    await w.push(artifact, "team/app", signature_tag(SUBJECT.digest))
    assert not w.signer.made
    assert (await w.pull("team/app", signature_tag(SUBJECT.digest))).body == artifact.body
    assert (await w.blob("team/app", digest_of(GENUINE.data))).status == 200


async def test_what_was_found_out_about_an_artifact_in_one_repository_says_nothing_in_another() -> None:
    w = await world()
    artifact = carrying(MEDIA_TYPE, GENUINE.data)
    await w.push(artifact, "team/app", "sig")
    other = image("other")
    w.put_behind(other, "team/other", "sig")
    await denied(w, lambda: w.pull("team/other", "sig"), "unsigned")
    fact = await w.store.facts.manifest(REPO, artifact.digest)
    assert fact is not None
    assert fact.artifact is True


async def test_a_layer_that_cannot_be_read_proves_nothing() -> None:
    w = await world()
    artifact = carrying(MEDIA_TYPE, GENUINE.data)
    w.put_behind(artifact, "team/app", "sig")
    del w.registry.shelf("team/app").blobs[digest_of(GENUINE.data)]
    await denied(w, lambda: w.pull("team/app", "sig"), "unsigned")
    fact = await w.store.facts.manifest(REPO, artifact.digest)
    assert fact is not None
    assert fact.artifact is None
    w.registry.put_blob("team/app", GENUINE.data)
    w.store.clock.advance(10)
    assert (await w.pull("team/app", "sig")).status == 200


async def test_more_than_a_hundred_layers_are_not_looked_at() -> None:
    w = await world()
    layers = []
    for n in range(101):
        one = soft_key().layer("cosign-simple", SUBJECT.digest, f"r/{n}") if n == 0 else GENUINE
        w.registry.put_blob("team/app", one.data)
        layers.append(carrier.describe(one.descriptor))
    many = carrying("", layers=layers)
    w.put_behind(many, "team/app", "many")
    await denied(w, lambda: w.pull("team/app", "many"), "unsigned")


def test_a_descriptor_of_a_genuine_layer_is_what_a_registry_gives_back() -> None:
    assert GENUINE.descriptor == Descriptor(
        MEDIA_TYPE, digest_of(GENUINE.data), len(GENUINE.data), GENUINE.descriptor.annotations
    )
    assert json.loads(GENUINE.data)["critical"]["image"]["docker-manifest-digest"] == SUBJECT.digest
