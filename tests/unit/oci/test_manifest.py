from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.oci.descriptor import SIZE_LIMIT, Descriptor
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
    Manifest,
    parse,
)
from proxy.oci.reference import digest_of
from tests.worlds.strategies import digests

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


MANIFESTS = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
MEDIA_TYPES = st.from_regex(r"application/[a-z0-9.+-]{1,40}", fullmatch=True)
ANNOTATIONS = st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3)
JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FOREIGN = {"platform": {"os": "linux"}, "urls": ["https://x"], "data": "e30=", "org.example": None}  # not ours to read
ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEADERS = st.sampled_from((*MANIFESTS, "", "application/json", DOCKER_SCHEMA1)) | st.text(max_size=30)


def descriptors(media_types: st.SearchStrategy[str] = MEDIA_TYPES) -> st.SearchStrategy[Descriptor]:
    kinds = st.none() | MEDIA_TYPES
    return st.builds(Descriptor, media_types, digests(), st.integers(0, SIZE_LIMIT), ANNOTATIONS, kinds)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """What a document may say; `parse` must find all of it and nothing else."""
    more: dict[str, Any] = {
        "subject": draw(st.none() | descriptors(st.sampled_from(MANIFESTS))),
        "artifact_type": draw(st.none() | MEDIA_TYPES),
        "annotations": draw(ANNOTATIONS),
    }
    several = st.lists(descriptors(), max_size=4).map(tuple)
    if draw(st.booleans()):
        media_type = draw(st.sampled_from((OCI_MANIFEST, DOCKER_MANIFEST)))
        return Manifest(Kind.IMAGE, media_type, draw(descriptors()), draw(several), **more)
    children = draw(st.lists(descriptors(st.sampled_from(MANIFESTS)), max_size=4).map(tuple))
    media_type = draw(st.sampled_from((OCI_INDEX, DOCKER_LIST)))
    return Manifest(Kind.INDEX, media_type, children=children, entries=draw(several), **more)


def written(descriptor: Descriptor) -> dict[str, object]:
    told: dict[str, object] = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
    told |= {"artifactType": descriptor.artifact_type} if descriptor.artifact_type else {}
    return told | ({"annotations": dict(descriptor.annotations)} if descriptor.annotations else {}) | FOREIGN


def document(made: Manifest) -> dict[str, Any]:
    told: dict[str, Any] = {"schemaVersion": 2, "mediaType": made.media_type, "org.example": [1.5]}
    if made.config is not None:
        told |= {"config": written(made.config), "layers": [written(layer) for layer in made.layers]}
    else:
        told["manifests"] = [written(entry) for entry in (*made.children, *made.entries)]
    told |= {"subject": written(made.subject)} if made.subject else {}
    told |= {"artifactType": made.artifact_type} if made.artifact_type else {}
    return told | ({"annotations": dict(made.annotations)} if made.annotations else {})


@ANY_MACHINE
@given(manifests(), st.booleans(), st.booleans(), st.booleans())
def test_a_document_is_read_as_what_it_was_made_of(made: Manifest, inside: bool, outside: bool, escaped: bool) -> None:
    told = document(made) if inside or not outside else without(document(made), "mediaType")
    raw = json.dumps(told, ensure_ascii=escaped).encode()
    assert parse(raw, made.media_type if outside else "", LIMITS) == made


def refused_or_read(raw: bytes, header: str) -> None:
    """`parse` says no in words that may be shown, or it has read a manifest; it does nothing else."""
    try:
        read = parse(raw, header, LIMITS)
    except Fault as fault:
        assert fault.code == "MANIFEST_INVALID"
        assert fault.reason in {"ambiguous_manifest", "not_judged", "too_large"}
        assert fault.message.isascii()
        assert fault.message.isprintable()
    else:
        assert read.media_type in MANIFESTS


@ANY_MACHINE
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), HEADERS)
@example(b"[" * 100_000, "")
@example(b'{"schemaVersion": ' + b"9" * 5000 + b"}", OCI_MANIFEST)
@example(b'{"\\ud800": 1}', OCI_MANIFEST)
@example(b'{"mediaType": "\\ud800"}', OCI_MANIFEST)
def test_no_bytes_at_all_break_the_parser(raw: bytes, header: str) -> None:
    refused_or_read(raw, header)


@ANY_MACHINE
@given(manifests(), HEADERS, st.data())
def test_a_document_with_anything_in_it_exchanged_is_refused_or_read(
    made: Manifest, header: str, data: st.DataObject
) -> None:
    told: Any = copy.deepcopy(document(made))
    at: Any = told
    while True:
        key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        if not at[key] or not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            break
        at = at[key]
    value = at[key]
    match data.draw(st.sampled_from(("other", "gone", "renamed", "twice"))):
        case "other":
            at[key] = data.draw(JSON)
        case "gone":
            del at[key]
        case "renamed" if isinstance(at, dict):
            at[data.draw(st.sampled_from([key.upper(), key.title(), key + "x"]) | st.text(max_size=9))] = at.pop(key)
        case _ if isinstance(at, list):
            at.append(value)
    refused_or_read(json.dumps(told).encode(), header)


@ANY_MACHINE
@given(manifests(), st.data())
def test_a_document_with_bytes_exchanged_is_refused_or_read(made: Manifest, data: st.DataObject) -> None:
    raw = json.dumps(document(made)).encode()
    at, until = sorted((data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, len(raw)))))
    refused_or_read(raw[:at] + data.draw(st.binary(max_size=8)) + raw[until:], made.media_type)
