"""Attack 5: one document, two readings. What Go, Rust, C++ and Python read differently is not a manifest to us.

Public cases behind it: duplicate keys and keys without case in Go's encoding/json; manifests that are an image to one
client and an index to another (image-spec 1.0.2, CVE-2021-41190); RecursionError and 4,000-digit numbers in Python.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, parse
from proxy.oci.reference import digest_of

LIMITS = Limits()
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"c"), "size": 1}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest_of(b"l"), "size": 1}
EVIL = {**LAYER, "digest": digest_of(b"evil")}
CHILD = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"m"), "size": 1}
IMAGE = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]}
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD]}
PLAIN = json.dumps(IMAGE)
NAMES = ("schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType", "annotations")
FIELDS = ("mediaType", "digest", "size", "annotations", "artifactType", "urls", "data", "platform")


def refusal(body: bytes | str, content_type: str = OCI_MANIFEST) -> Fault:
    with pytest.raises(Fault) as refused:
        parse(body if isinstance(body, bytes) else body.encode(), content_type, LIMITS)
    assert refused.value.code == "MANIFEST_INVALID"
    assert refused.value.message.isprintable()
    assert refused.value.message.isascii()
    return refused.value


def added(member: str) -> str:
    return PLAIN[:-1] + "," + member + "}"


def test_the_plain_document_is_read() -> None:
    assert parse(PLAIN.encode(), OCI_MANIFEST, LIMITS).layers[0].digest == LAYER["digest"]


@pytest.mark.parametrize(
    "member",
    [
        '"layers":[]',
        '"layers":' + json.dumps([EVIL]),
        '"\\u006cayers":' + json.dumps([EVIL]),
        '"annotations":{"a":"1","a":"2"}',
        '"other":{"deep":[{"x":1,"x":2}]}',
    ],
)
def test_duplicate_keys_at_any_depth(member: str) -> None:
    assert refusal(added(member)).reason == "ambiguous_manifest"


def spellings(name: str) -> st.SearchStrategy[str]:
    """Draw what Go's decoder takes for the name: any case, U+017F for s, U+212A for k."""
    other = {"s": "s\u017fS", "k": "k\u212aK"}
    each = [st.sampled_from(other.get(c.lower(), c.lower() + c.upper())) for c in name]
    return st.tuples(*each).map("".join).filter(lambda text: text != name)


@given(st.sampled_from(NAMES).flatmap(spellings))
def test_keys_that_fold_to_a_field_of_the_manifest(key: str) -> None:
    assert refusal(added(json.dumps(key) + ":null")).reason == "ambiguous_manifest"


@given(st.sampled_from(FIELDS).flatmap(spellings), st.sampled_from(["config", "layers", "manifests", "subject"]))
def test_keys_that_fold_to_a_field_of_a_descriptor(key: str, place: str) -> None:
    document: dict[str, object] = dict(INDEX if place == "manifests" else IMAGE)
    evil = {**CHILD, key: None}
    document[place] = [evil] if place in {"layers", "manifests"} else evil
    assert refusal(json.dumps(document), "").reason == "ambiguous_manifest"


def test_annotations_and_unknown_objects_are_not_ours_to_spell() -> None:
    free = {"Layers": "x", "MEDIATYPE": "y", "\u017fubject": "z"}
    document = {**IMAGE, "annotations": free, "layers": [{**LAYER, "annotations": free}], "x-vendor": free}
    assert parse(json.dumps(document).encode(), OCI_MANIFEST, LIMITS).annotations == free


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        added('"x":NaN'),
        added('"x":-Infinity'),
        added('"x":1e400'),
        added('"x":"\\ud800"'),
        added('"\\udfff":1'),
        added('"x":' + "9" * 4000),
        PLAIN.replace('"size": 1', '"size": 1' + "0" * 4000),
        PLAIN.replace('"size": 1', '"size": 1.0'),
        PLAIN.replace('"size": 1', '"size": 1e0'),
        PLAIN.replace('"size": 1', '"size": 9223372036854775808'),
        PLAIN.replace('"schemaVersion": 2', '"schemaVersion": 2.0'),
        added('"x":' + "[" * 33 + "]" * 33),
        added('"x":' + "[" * 100_000 + "]" * 100_000),
        "[" * 1_000_000,
        '{"config":' * 100_000,
        PLAIN + PLAIN,
        PLAIN + "\x00",
        added('"x":"\x00"'),
        PLAIN.encode()[:-1] + b',"x":"\xff"}',
        PLAIN.encode()[:-1] + b',"x":"\xed\xa0\x80"}',
        "/* */" + PLAIN,
        "null",
        '"' + OCI_MANIFEST + '"',
    ],
    ids=range(27),
)
def test_encodings_numbers_and_depth(body: bytes | str) -> None:
    assert refusal(body).reason == "ambiguous_manifest"


@pytest.mark.parametrize("extra", [{"manifests": [CHILD]}, {"manifests": []}, {"manifests": None}, {"fsLayers": []}])
@pytest.mark.parametrize("content_type", [OCI_MANIFEST, ""])
def test_an_image_that_is_something_else_too(extra: dict[str, object], content_type: str) -> None:
    assert refusal(json.dumps({**IMAGE, **extra}), content_type).reason == "ambiguous_manifest"


@pytest.mark.parametrize("extra", [{"layers": [EVIL]}, {"config": CONFIG}, {"layers": None}, {"config": None}])
def test_an_index_that_is_something_else_too(extra: dict[str, object]) -> None:
    for content_type in (OCI_INDEX, ""):
        assert refusal(json.dumps({**INDEX, **extra}), content_type).reason == "ambiguous_manifest"


@pytest.mark.parametrize("content_type", [OCI_INDEX, DOCKER_MANIFEST, "text/html", f"{OCI_INDEX};{OCI_MANIFEST}"])
def test_a_media_type_that_is_not_the_content_type(content_type: str) -> None:
    assert refusal(PLAIN, content_type).reason == "ambiguous_manifest"


def test_without_a_media_type_the_content_type_may_not_contradict_the_shape() -> None:
    bare = {key: value for key, value in IMAGE.items() if key != "mediaType"}
    assert refusal(json.dumps(bare), OCI_INDEX).reason == "ambiguous_manifest"
