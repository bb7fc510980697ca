from __future__ import annotations

import json
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    EMPTY_DIGEST,
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Kind,
    parse,
)
from proxy.oci.reference import digest_of

LIMITS = Limits()
CONFIG: dict[str, object] = {"mediaType": OCI_CONFIG, "digest": digest_of(b"config"), "size": 6}
LAYER: dict[str, object] = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    "digest": digest_of(b"l"),
    "size": 1,
}
CHILD: dict[str, object] = {
    "mediaType": OCI_MANIFEST,
    "digest": digest_of(b"child"),
    "size": 5,
    "platform": {"os": "linux"},
}
IMAGE: dict[str, object] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]}
INDEX: dict[str, object] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD]}


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def without(document: dict[str, object], *names: str) -> dict[str, object]:
    return {key: value for key, value in document.items() if key not in names}


@pytest.mark.parametrize(
    ("document", "media_type", "kind"),
    [
        (IMAGE, OCI_MANIFEST, Kind.IMAGE),
        ({**IMAGE, "mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST, Kind.IMAGE),
        (INDEX, OCI_INDEX, Kind.INDEX),
        ({**INDEX, "mediaType": DOCKER_LIST}, DOCKER_LIST, Kind.INDEX),
    ],
)
def test_the_kind_is_what_document_and_header_say(document: dict[str, object], media_type: str, kind: Kind) -> None:
    for header in (media_type, f"{media_type}; charset=utf-8", media_type.upper(), "", "application/json"):
        read = parse(body(document), header, LIMITS)
        assert (read.kind, read.media_type) == (kind, media_type)
    read = parse(body(without(document, "mediaType")), media_type, LIMITS)
    assert (read.kind, read.media_type) == (kind, media_type)


@pytest.mark.parametrize(("document", "media_type"), [(IMAGE, OCI_MANIFEST), (INDEX, OCI_INDEX)])
def test_without_any_media_type_the_shape_decides(document: dict[str, object], media_type: str) -> None:
    for header in ("", "application/json", "application/octet-stream"):
        assert parse(body(without(document, "mediaType")), header, LIMITS).media_type == media_type


def test_an_image_is_read_whole() -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"s"), "size": 9}
    extra = {"subject": subject, "artifactType": "application/x", "annotations": {"Layers": "free"}}
    read = parse(body({**IMAGE, "layers": [LAYER, LAYER], **extra}), "", LIMITS)
    assert read.config is not None
    assert read.subject is not None
    assert (read.config.digest, read.subject.digest) == (digest_of(b"config"), digest_of(b"s"))
    assert (read.artifact_type, read.annotations) == ("application/x", {"Layers": "free"})
    assert read.blobs == (digest_of(b"config"), digest_of(b"l"))
    assert read.children == ()


def test_entries_of_an_index_that_are_no_manifests_are_blobs() -> None:
    read = parse(body({**INDEX, "manifests": [CHILD, LAYER, CONFIG]}), "", LIMITS)
    assert [child.digest for child in read.children] == [digest_of(b"child")]
    assert read.blobs == (digest_of(b"l"), digest_of(b"config"))


def test_null_is_empty_where_go_writes_it() -> None:
    read = parse(body({**IMAGE, "layers": None, "subject": None, "annotations": None, "artifactType": ""}), "", LIMITS)
    assert (read.layers, read.subject, read.annotations, read.artifact_type) == ((), None, {}, None)
    assert parse(body({**INDEX, "manifests": []}), "", LIMITS).children == ()


def test_the_empty_descriptor_is_what_it_says() -> None:
    assert digest_of(EMPTY_JSON) == EMPTY_DIGEST
    assert parse(
        body({**IMAGE, "config": {"mediaType": OCI_EMPTY, "digest": EMPTY_DIGEST, "size": 2}}), "", LIMITS
    ).config


@pytest.mark.parametrize(
    ("document", "header"),
    [
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, ""),
        ({"schemaVersion": 1, "fsLayers": []}, DOCKER_SCHEMA1_SIGNED),
        ({"schemaVersion": 1}, DOCKER_SCHEMA1),
        ({"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": []}, ""),
        (without(IMAGE, "mediaType"), "text/html"),
        (without(IMAGE, "mediaType"), f"{OCI_MANIFEST}, {OCI_INDEX}"),
        ({**IMAGE, "mediaType": "application/json"}, ""),
    ],
)
def test_kinds_without_a_rule_are_not_judged(document: object, header: str) -> None:
    with pytest.raises(Fault, match="kind that is not judged") as refused:
        parse(body(document), header, LIMITS)
    assert (refused.value.code, refused.value.reason) == ("MANIFEST_INVALID", "not_judged")


@pytest.mark.parametrize(
    ("document", "header", "says"),
    [
        ([], "", "manifest is not an object: list"),
        ({}, "", "neither config and layers"),
        (IMAGE, OCI_INDEX, "both must be the same"),
        (IMAGE, DOCKER_MANIFEST, "both must be the same"),
        ({**IMAGE, "manifests": []}, "", "fields of several kinds"),
        ({**INDEX, "layers": None}, "", "fields of several kinds"),
        ({**IMAGE, "fsLayers": []}, "", "fields of several kinds"),
        ({**INDEX, "mediaType": OCI_MANIFEST}, "", "those of an index"),
        ({**IMAGE, "mediaType": OCI_INDEX}, "", "those of an image"),
        ({**IMAGE, "schemaVersion": 3}, "", "schemaVersion is not 2"),
        ({**IMAGE, "schemaVersion": 2.0}, "", "schemaVersion is not 2"),
        ({**IMAGE, "schemaVersion": True}, "", "schemaVersion is not 2"),
        (without(IMAGE, "schemaVersion"), "", "schemaVersion is not 2"),
        (without(IMAGE, "config"), "", "config is not an object: None"),
        (without(IMAGE, "layers"), "", "layers is missing"),
        ({**IMAGE, "layers": [LAYER, 7]}, "", r"layers\[1\] is not an object: 7"),
        ({**INDEX, "manifests": [{**CHILD, "size": -1}]}, "", r"manifests\[0\].size"),
        ({**IMAGE, "subject": {}}, "", r"subject.mediaType is missing"),
        ({**IMAGE, "mediaType": 7}, "", "manifest.mediaType"),
        ({**IMAGE, "annotations": {"a": None}}, "", "annotations"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(document: object, header: str, says: str) -> None:
    with pytest.raises(Fault, match=says) as refused:
        parse(body(document), header, LIMITS)
    assert (refused.value.code, refused.value.status) == ("MANIFEST_INVALID", 400)


def test_bounds_are_the_limits() -> None:
    small = replace(LIMITS, layers=2, index_children=1)
    assert parse(body({**IMAGE, "layers": [LAYER] * 2}), "", small)
    for document in (
        {**IMAGE, "layers": [LAYER] * 3},
        {**INDEX, "manifests": [CHILD] * 2},
        {**INDEX, "manifests": [LAYER] * 3},
    ):
        with pytest.raises(Fault, match="are read") as refused:
            parse(body(document), "", small)
        assert refused.value.reason == "too_large"
