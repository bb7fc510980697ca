from __future__ import annotations

import pytest

from proxy.oci.descriptor import (
    SIZE_LIMIT,
    Descriptor,
    parse_annotations,
    parse_descriptor,
    parse_list,
    parse_media_type,
    parse_object,
)
from proxy.oci.faults import Fault
from proxy.oci.manifest import EMPTY_DIGEST, OCI_EMPTY

PLAIN: dict[str, object] = {"mediaType": OCI_EMPTY, "digest": EMPTY_DIGEST, "size": 2}


def test_a_descriptor_is_read_with_its_optional_fields() -> None:
    assert parse_descriptor(PLAIN, "config") == Descriptor(OCI_EMPTY, EMPTY_DIGEST, 2)
    more = {
        **PLAIN,
        "annotations": {"Digest": "x"},
        "artifactType": "a/b",
        "urls": ["https://x"],
        "platform": {"os": "x"},
    }
    assert parse_descriptor(more, "config") == Descriptor(OCI_EMPTY, EMPTY_DIGEST, 2, {"Digest": "x"}, "a/b")
    assert parse_descriptor({**PLAIN, "size": SIZE_LIMIT, "annotations": None}, "x").size == SIZE_LIMIT


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": -1}, "layers\\[3\\].size"),
        ({"size": SIZE_LIMIT + 1}, "layers\\[3\\].size"),
        ({"size": 2.0}, "layers\\[3\\].size"),
        ({"size": True}, "layers\\[3\\].size"),
        ({"size": "2"}, "layers\\[3\\].size"),
        ({"size": None}, "layers\\[3\\].size"),
        ({"digest": None}, "layers\\[3\\].digest"),
        ({"digest": 7}, "layers\\[3\\].digest"),
        ({"digest": EMPTY_DIGEST.upper()}, "layers\\[3\\].digest"),
        ({"mediaType": ""}, "mediaType is missing"),
        ({"mediaType": ["x"]}, "mediaType is not a media type: list"),
        ({"mediaType": "a\x1b[31m"}, "is not a media type: 'a\\\\x1b"),
        ({"mediaType": "x" * 256}, "is not a media type"),
        ({"artifactType": 1}, "artifactType"),
        ({"annotations": {"a": 1}}, "annotations is not an object of strings"),
        ({"annotations": []}, "annotations is not an object of strings"),
        ({"Digest": "x"}, "some parsers read as digest"),
        ({"\u017fize": 3}, "\\\\u017fize"),
    ],
)
def test_a_descriptor_that_is_not_one_is_refused_with_its_place(change: dict[str, object], says: str) -> None:
    with pytest.raises(Fault, match=says) as refused:
        parse_descriptor({**PLAIN, **change}, "layers[3]")
    assert (refused.value.code, refused.value.reason) == ("MANIFEST_INVALID", "ambiguous_manifest")


@pytest.mark.parametrize("key", ["Layers", "LAYERS", "layer\u017f"])
def test_keys_that_fold_to_a_known_one_are_refused(key: str) -> None:
    with pytest.raises(Fault, match="write layers or remove it"):
        parse_object({key: 1}, "manifest", {"layers"})


def test_a_kelvin_sign_folds_too() -> None:
    with pytest.raises(Fault, match="write kind"):
        parse_object({"\u212aind": 1}, "manifest", {"kind"})


def test_keys_that_fold_to_nothing_known_are_free() -> None:
    assert parse_object({"Other": 1, "layers": 2}, "manifest", {"layers"}) == {"Other": 1, "layers": 2}


def test_missing_null_and_empty() -> None:
    assert parse_media_type({"mediaType": ""}, "mediaType", "x") is None
    assert parse_list({"layers": None}, "layers", "x") == []
    assert parse_annotations({}, "x") == {}
    with pytest.raises(Fault, match=r"x\.layers is missing"):
        parse_list({}, "layers", "x")
    with pytest.raises(Fault, match=r"x\.layers is not a list: dict"):
        parse_list({"layers": {}}, "layers", "x")
