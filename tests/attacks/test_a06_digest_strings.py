"""Attack 6: strings that are a digest to one reader and something else to another."""

from __future__ import annotations

import json

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST, parse
from proxy.oci.paths import parse as parse_path
from proxy.oci.reference import digest_of, matches, parse_digest

HEX = "0123456789abcdef" * 4
GOOD = f"sha256:{HEX}"
BAD = [
    GOOD.upper(),
    f"SHA256:{HEX}",
    f"sha256:{HEX.upper()}",
    f"sha256:{HEX[:-1]}",
    f"sha256:{HEX}0",
    f"sha256:{HEX * 2}",
    f"sha512:{HEX}",
    f"sha384:{'a' * 96}",
    f"md5:{'a' * 32}",
    f"sha256+b64:{HEX}",
    f"sha256%3A{HEX}",
    f"sha256%3a{HEX}",
    f"sha256-{HEX}",
    f"sha256::{HEX}",
    f"sha256:sha256:{HEX}",
    f":{HEX}",
    HEX,
    "sha256:",
    "",
    f" {GOOD}",
    f"{GOOD} ",
    f"{GOOD}\n",
    f"{GOOD}\x00",
    "sha256:../../" + HEX[:58],
    f"sha256:{HEX[:-2]}..",
    f"sha256:{HEX[:-1]}\u0661",
    f"sha256:{HEX[:-1]}\uff11",
    f"\u017fha256:{HEX}",
    f"sha256\uff1a{HEX}",
    f"{GOOD},{GOOD}",
    f"{GOOD}?x",
    f"{GOOD}#x",
]


@pytest.mark.parametrize("text", BAD)
def test_alone(text: str) -> None:
    with pytest.raises(Fault) as refused:
        parse_digest(text)
    assert refused.value.code == "DIGEST_INVALID"
    assert refused.value.message.isascii()
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("endpoint", ["blobs", "referrers"])
def test_in_paths(text: str, endpoint: str) -> None:
    with pytest.raises(Fault) as refused:
        parse_path("GET", f"/v2/a/{endpoint}/{text}")
    assert 400 <= refused.value.status < 500


@pytest.mark.parametrize("text", [text for text in BAD if text and ":" in text])
def test_in_references_to_manifests(text: str) -> None:
    with pytest.raises(Fault):
        parse_path("GET", f"/v2/a/manifests/{text}")


@pytest.mark.parametrize("text", [text for text in BAD if text and "%" not in text and "#" not in text])
@pytest.mark.parametrize(
    "line",
    ["POST /v2/a/blobs/uploads/ mount", "POST /v2/a/blobs/uploads/ digest", "PUT /v2/a/blobs/uploads/u digest"],
)
def test_in_queries(text: str, line: str) -> None:
    method, path, name = line.split(" ")
    with pytest.raises(Fault):
        parse_path(method, path, f"{name}={text}")


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("place", ["config", "layers", "manifests", "subject"])
def test_in_descriptors_and_subjects(text: str, place: str) -> None:
    good = {"mediaType": OCI_MANIFEST, "digest": GOOD, "size": 1}
    evil = {**good, "digest": text}
    document: dict[str, object] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": good, "layers": [good]}
    if place == "manifests":
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    document[place] = [evil] if place in {"layers", "manifests"} else evil
    with pytest.raises(Fault, match="digest") as refused:
        parse(json.dumps(document).encode(), "", Limits())
    assert refused.value.reason == "ambiguous_manifest"


def test_a_digest_of_another_algorithm_is_another_digest() -> None:
    assert not matches(digest_of(b"x", "sha512"), b"y")
    assert digest_of(b"x", "sha512") != digest_of(b"x")
