"""Attack 7: documents larger than what is inspected. What is not read whole is not judged, and goes nowhere."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import KIB, MIB, Limits
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST, parse
from proxy.oci.reference import digest_of

ENTRY = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"x"), "size": 1}
IMAGE = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": ENTRY, "layers": [ENTRY]}


def padded(size: int) -> bytes:
    body = json.dumps(IMAGE).encode()
    return body + b" " * (size - len(body))


def test_up_to_the_limit_everything_is_read_and_not_a_byte_more() -> None:
    limits = replace(Limits(), manifest_bytes=64 * KIB)
    assert parse(padded(64 * KIB), OCI_MANIFEST, limits).layers
    with pytest.raises(Fault, match="65537 bytes; at most 65536") as refused:
        parse(padded(64 * KIB + 1), OCI_MANIFEST, limits)
    assert (refused.value.code, refused.value.status, refused.value.reason) == ("SIZE_INVALID", 413, "too_large")


def test_64_mib_cost_nothing() -> None:
    body = bytes(64 * MIB)
    began = time.process_time()
    with pytest.raises(Fault) as refused:
        parse(body, OCI_MANIFEST, Limits())
    assert refused.value.status == 413
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"\x00" * 100, padded(200)[:100]])
def test_nothing_and_half_of_something_is_no_manifest(body: bytes) -> None:
    with pytest.raises(Fault) as refused:
        parse(body, OCI_MANIFEST, Limits())
    assert (refused.value.code, refused.value.status) == ("MANIFEST_INVALID", 400)


@pytest.mark.parametrize(
    ("count", "says"), [(1001, "1001 layers"), (4_000, "4000 layers"), (20_000, "more than 20000 values")]
)
def test_more_layers_than_are_read(count: int, says: str) -> None:
    body = json.dumps({**IMAGE, "layers": [ENTRY] * count}).encode()
    with pytest.raises(Fault, match=says) as refused:
        parse(body, OCI_MANIFEST, Limits())
    assert refused.value.reason == "too_large"


def test_more_children_than_are_judged() -> None:
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [ENTRY] * 257}).encode()
    with pytest.raises(Fault, match="257 child manifests; at most 256") as refused:
        parse(body, OCI_INDEX, Limits())
    assert refused.value.reason == "too_large"


@pytest.mark.parametrize("unit", [b"[],", b'"",', b"0,", b'{"a":{}},'])
def test_the_costliest_document_within_the_limit_is_read_in_bounded_time(unit: bytes) -> None:
    body = b'{"schemaVersion":2,"x":[' + unit * ((4 * MIB - 100) // len(unit)) + b"0]}"
    began = time.process_time()
    with pytest.raises(Fault, match="more than 20000 values"):
        parse(body, "", Limits())
    assert time.process_time() - began < 0.5
