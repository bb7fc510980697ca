"""Manifests and indexes that carry signatures: ours are added, nothing of anybody else's is lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import carrier
from proxy.formats.bundle import ABOUT
from proxy.formats.bundle import MEDIA_TYPE as BUNDLE_TYPE
from proxy.formats.simple_signing import MEDIA_TYPE as SIMPLE_TYPE
from proxy.formats.simple_signing import SIGNATURE
from proxy.oci.faults import Corrupt
from proxy.oci.limits import Limits
from proxy.oci.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY_DIGEST,
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    parse,
)
from proxy.oci.reference import digest_of
from tests.vectors.vector import load
from tests.worlds.memory import NOON
from tests.worlds.softkey import soft_key

IMAGE = Descriptor(OCI_MANIFEST, digest_of(b"image"), 5)


def layer(text: str, signature: str = "QQ==") -> Descriptor:
    return Descriptor(SIMPLE_TYPE, digest_of(text.encode()), len(text), {SIGNATURE: signature})


def read(body: bytes | None, media_type: str = OCI_MANIFEST) -> Manifest:
    assert body is not None
    return parse(body, media_type, Limits())


def test_a_new_sig_manifest() -> None:
    manifest = read(carrier.sig_manifest(None, [layer("a"), layer("b")]))
    assert manifest.config == Descriptor(OCI_CONFIG, EMPTY_DIGEST, len(EMPTY_JSON))
    assert manifest.layers == (layer("a"), layer("b"))
    assert carrier.is_artifact_shape(manifest)
    assert carrier.config_to_check(manifest) is None


def test_other_peoples_layers_keep_place_and_fields() -> None:
    foreign = {
        "mediaType": "application/vnd.example",
        "digest": digest_of(b"x"),
        "size": 1,
        "urls": ["https://example.com"],
        "annotations": {"k": "é"},
        "later": {"unknown": [1, 2.5, None]},
    }
    old = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {}, "layers": [foreign], "annotations": {"a": "b"}}
    body = carrier.sig_manifest(json.dumps(old).encode(), [layer("a")])
    assert body is not None
    value = json.loads(body)
    assert value["layers"] == [foreign, carrier.describe(layer("a"))]
    assert value["annotations"] == {"a": "b"}
    assert value["config"]["digest"] == EMPTY_DIGEST


def test_adding_twice_adds_once() -> None:
    once = carrier.sig_manifest(None, [layer("a"), layer("a")])
    assert carrier.sig_manifest(once, [layer("a")]) == once


def test_two_keys_over_one_payload_are_two_layers() -> None:
    assert read(carrier.sig_manifest(None, [layer("a", "QQ=="), layer("a", "Qg==")])).layers == (
        layer("a", "QQ=="),
        layer("a", "Qg=="),
    )


def test_dropping() -> None:
    both = carrier.sig_manifest(None, [layer("a"), layer("b")])
    assert read(carrier.sig_manifest(both, [], {carrier.mark(layer("a"))})).layers == (layer("b"),)
    assert carrier.sig_manifest(both, [], {carrier.mark(layer("a")), carrier.mark(layer("b"))}) is None
    assert carrier.sig_manifest(None, []) is None
    replaced = carrier.sig_manifest(both, [layer("c")], {carrier.mark(layer("a"))})
    assert read(replaced).layers == (layer("b"), layer("c"))


def test_what_cosign_wrote_survives() -> None:
    vector = load("cosign2-simple-twice")
    body = carrier.sig_manifest(vector.body, [layer("ours")])
    assert body is not None
    assert json.loads(body)["layers"][:2] == json.loads(vector.body)["layers"]
    assert read(body).layers == (*vector.manifest.layers, layer("ours"))


def test_the_bundle_manifest_is_the_one_cosign_writes() -> None:
    theirs = load("cosign3-bundle")
    subject = theirs.manifest.subject
    assert subject is not None
    bundle = soft_key().layer("sigstore-bundle", theirs.subject).descriptor
    ours = read(carrier.referrer_manifest(subject, bundle, BUNDLE_TYPE, ABOUT, NOON))
    assert ours.subject == subject
    assert ours.artifact_type == theirs.manifest.artifact_type == BUNDLE_TYPE
    assert ours.annotations.keys() == theirs.manifest.annotations.keys()
    created = "org.opencontainers.image.created"
    assert {**ours.annotations, created: ""} == {**theirs.manifest.annotations, created: ""}
    assert ours.annotations[created] == "2026-01-02T12:00:00Z"
    assert ours.config is not None
    assert (ours.config.media_type, ours.config.digest, ours.config.size) == (OCI_EMPTY, EMPTY_DIGEST, 2)
    assert ours.layers == (bundle,)
    assert carrier.is_artifact_shape(ours)


def test_the_same_bundle_is_the_same_manifest() -> None:
    bundle = soft_key().layer("sigstore-bundle", IMAGE.digest).descriptor
    made = [carrier.referrer_manifest(IMAGE, bundle, BUNDLE_TYPE, ABOUT, NOON) for _ in range(2)]
    assert made[0] == made[1]


def test_the_descriptor_of_a_referrer() -> None:
    manifest = load("cosign3-bundle").manifest
    entry = carrier.referrer(manifest, digest_of(b"m"), 7)
    assert entry == Descriptor(OCI_MANIFEST, digest_of(b"m"), 7, manifest.annotations, BUNDLE_TYPE)
    old = replace(manifest, artifact_type=None, config=Descriptor("application/vnd.example", EMPTY_DIGEST, 2))
    assert carrier.referrer(old, digest_of(b"m"), 7).artifact_type == "application/vnd.example"


def test_an_index_of_referrers() -> None:
    entry = replace(IMAGE, artifact_type=BUNDLE_TYPE, annotations={"k": "v"})
    assert read(carrier.referrers_index([entry]), OCI_INDEX).children == (entry,)
    assert json.loads(carrier.referrers_index([]))["manifests"] == []


def test_the_fallback_index() -> None:
    theirs = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"t"), "size": 1, "platform": {"os": "x"}, "later": 1}
    wrong = {"mediaType": OCI_MANIFEST, "digest": IMAGE.digest, "size": 5, "artifactType": OCI_EMPTY}
    old = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [wrong, theirs], "annotations": {"a": "b"}}
    entry = replace(IMAGE, artifact_type=BUNDLE_TYPE)
    other = replace(IMAGE, digest=digest_of(b"o"))
    value = json.loads(carrier.fallback_index(json.dumps(old).encode(), [entry, other]))
    assert value["manifests"] == [carrier.describe(entry), theirs, carrier.describe(other)]
    assert value["annotations"] == {"a": "b"}
    dropped = carrier.fallback_index(json.dumps(old).encode(), [], {IMAGE.digest})
    assert json.loads(dropped)["manifests"] == [theirs]
    assert read(carrier.fallback_index(None, [entry]), OCI_INDEX).children == (entry,)


@pytest.mark.parametrize(
    "old", [b"", b"[]", b"ELF", b'{"layers":{"a":1},"manifests":7}', b'{"layers":[1],"manifests":[1]}']
)
def test_old_bytes_that_are_no_document(old: bytes) -> None:
    with pytest.raises(Corrupt):
        carrier.sig_manifest(old, [layer("a")])
    with pytest.raises(Corrupt):
        carrier.fallback_index(old, [IMAGE])


def sig(*layers: Descriptor, **more: object) -> bytes:
    return json.dumps({**json.loads(carrier.sig_manifest(None, layers) or b""), **more}, indent=1).encode()


def test_a_merged_sig_holds_what_is_there_what_is_pushed_and_ours_each_once() -> None:
    a, b, c = layer("a"), layer("b"), layer("c")
    merged = read(carrier.merged_sig(sig(a), sig(b, a), [c]))
    assert merged.layers == (a, b, c)
    assert read(carrier.merged_sig(None, sig(b), [c])).layers == (b, c)


def test_a_merged_sig_is_byte_for_byte_what_holds_everything_already() -> None:
    a, b = layer("a"), layer("b")
    old, pushed = sig(b, a, annotations={"by": "us"}), sig(a, b, annotations={"by": "them"})
    assert carrier.merged_sig(old, pushed, [a]) == old
    assert carrier.merged_sig(None, pushed, [a]) == pushed
    assert carrier.merged_sig(sig(a), pushed, [a]) == pushed


def test_a_merged_sig_leaves_out_what_it_is_told_to() -> None:
    a, b, c = layer("a"), layer("b"), layer("c")
    assert carrier.merged_sig(None, sig(a), [], {carrier.mark(a)}) is None
    assert read(carrier.merged_sig(sig(a, c), sig(a, b), [], {carrier.mark(b)})).layers == (a, c), "what is there stays"
    assert read(carrier.merged_sig(sig(a, c), sig(b), [], (), {carrier.mark(a)})).layers == (c, b)


def test_ours_in_a_merged_sig_are_as_we_write_them() -> None:
    ours = layer("a")
    beside = replace(ours, annotations={**ours.annotations, "dev.sigstore.cosign/certificate": "x"})
    assert read(carrier.merged_sig(None, sig(beside, layer("b")), [ours])).layers == (ours, layer("b"))


def test_fields_of_others_survive_a_merge() -> None:
    raw = {"mediaType": "m/x", "digest": digest_of(b"r"), "size": 1, "platform": {"os": "linux"}, "artifactType": "a/b"}
    pushed = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [raw], "annotations": {"k": "v"}})
    merged = json.loads(carrier.merged_index(None, pushed.encode(), [IMAGE]) or b"")
    assert merged["manifests"][0] == raw
    assert merged["annotations"] == {"k": "v"}
    assert len(merged["manifests"]) == 2


def test_a_merged_index_corrects_ours_and_leaves_out_what_it_is_told_to() -> None:
    lies = {**carrier.describe(IMAGE), "size": 1}
    pushed = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [lies]}).encode()
    assert read(carrier.merged_index(None, pushed, [IMAGE]), OCI_INDEX).children[0].size == IMAGE.size
    assert carrier.merged_index(None, pushed, [], {IMAGE.digest}) is None
    old = carrier.referrers_index([IMAGE])
    assert carrier.merged_index(old, pushed, [], {IMAGE.digest}) == old
    empty = carrier.referrers_index([])
    assert carrier.merged_index(None, empty, []) == empty


def test_shapes_that_are_no_artifact() -> None:
    good = read(carrier.sig_manifest(None, [layer("a")]))
    assert good.config is not None
    tar = replace(layer("a"), media_type="application/vnd.oci.image.layer.v1.tar+gzip")
    bundle = replace(layer("a"), media_type=BUNDLE_TYPE)
    docker_config = replace(good.config, media_type=carrier.DOCKER_CONFIG)
    docker = replace(good, media_type=DOCKER_MANIFEST, config=docker_config)
    bad = [
        replace(good, layers=()),
        replace(good, layers=(layer("a"), tar)),
        replace(good, layers=(layer("a"), bundle)),
        replace(good, layers=(layer("a"),) * (carrier.LAYERS + 1)),
        replace(good, media_type=DOCKER_MANIFEST),
        replace(good, config=None),
        replace(good, config=replace(good.config, media_type=carrier.DOCKER_CONFIG)),
        replace(docker, layers=(bundle,)),
        replace(docker, layers=(layer("a"), tar)),
        replace(docker, layers=(layer("a"),) * (carrier.LAYERS + 1)),
        replace(docker, media_type=DOCKER_LIST),
        read(carrier.referrers_index([IMAGE]), OCI_INDEX),
    ]
    assert carrier.is_artifact_shape(good)
    assert carrier.is_artifact_shape(docker)  # what cosign writes with COSIGN_DOCKER_MEDIA_TYPES=1
    assert carrier.is_artifact_shape(replace(good, layers=(layer("a"),) * carrier.LAYERS))
    assert not any(carrier.is_artifact_shape(manifest) for manifest in bad)


def test_a_config_of_another_digest_must_be_checked() -> None:
    config = Descriptor(OCI_CONFIG, digest_of(b"config"), 6)
    assert carrier.config_to_check(replace(read(carrier.sig_manifest(None, [layer("a")])), config=config)) == config


@pytest.mark.parametrize(
    "bad",
    [
        {"config": {"Cmd": ["/bin/sh"]}},
        {"config": None},
        {"architecture": "amd64"},
        {"os": "linux"},
        {"rootfs": []},
        {"rootfs": {"type": "layers", "diff_ids": [], "x": 1}},
        {"Config": {}},
        {"container_config": {}},
    ],
)
def test_a_config_that_configures_something_is_no_signatures(bad: dict[str, object]) -> None:
    good = json.loads(load("cosign2-simple").config)
    assert carrier.config_parses(json.dumps(good).encode())
    assert not carrier.config_parses(json.dumps({**good, **bad}).encode())


@given(st.binary(max_size=100))
def test_no_bytes_raise(data: bytes) -> None:
    assert not carrier.config_parses(data) or data.strip() == b"{}"
