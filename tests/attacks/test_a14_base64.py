"""One string of base64 per string of bytes: garbage, missing padding, tail bits and URL-safe variants are refused."""

from __future__ import annotations

import json

import pytest

from proxy.formats.algorithms import from_base64, to_base64
from proxy.formats.format import Layer
from proxy.formats.simple_signing import SIGNATURE, SIMPLE
from proxy.formats.table import FORMATS
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected
from proxy.trust.reason import Reason
from tests.worlds.softkey import annotated, rewritten, soft_key

IMAGE = digest_of(b"image")
KEY = soft_key()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def variants(text: str) -> dict[str, str]:
    """Other spellings that a lenient decoder reads as the same bytes."""
    bare = text.rstrip("=")
    changed = {
        "newline behind": text + "\n",
        "newline inside": f"{text[:4]}\n{text[4:]}",
        "space before": f" {text}",
        "garbage inside": f"{text[:4]}!{text[4:]}",
        "more padding": f"{text}=",
        "something behind the padding": f"{bare}==QQ==",
    }
    if bare != text:
        changed["no padding"] = bare
        nearby = ALPHABET[ALPHABET.index(bare[-1]) ^ 1]
        changed["tail bits"] = bare[:-1] + nearby + "=" * (len(text) - len(bare))
    if set(text) & set("+/"):
        changed["URL-safe"] = text.replace("+", "-").replace("/", "_")
    return changed


def padded_layer(form: str) -> Layer:
    """A signature whose base64 has padding, so that every variant exists (r and s decide its length)."""
    while True:
        layer = KEY.layer(form, IMAGE)
        if form == "sigstore-bundle" or layer.descriptor.annotations[SIGNATURE].endswith("="):
            return layer


def test_the_helper() -> None:
    for data in (b"", b"a", b"ab", b"abc", bytes(range(256)), b"\xff\xfe\xfd"):
        text = to_base64(data)
        assert from_base64(text) == data
        for what, other in variants(text).items():
            if len(text) >= 4:
                assert from_base64(other) is None, what


def test_the_signature_annotation() -> None:
    layer = padded_layer("cosign-simple")
    tried = variants(layer.descriptor.annotations[SIGNATURE])
    assert "tail bits" in tried
    for what, text in tried.items():
        other = annotated(layer, {SIGNATURE: text})
        [found] = SIMPLE.examine(other, IMAGE, [KEY.verifier])
        assert isinstance(found, Rejected), what
        assert found.reason is Reason.BAD_SIGNATURE
        assert not SIMPLE.parses(other), what


@pytest.mark.parametrize("place", ["payload", "sig"])
def test_inside_the_bundle(place: str) -> None:
    layer = padded_layer("sigstore-bundle")
    bundle = json.loads(layer.data)
    envelope = bundle["dsseEnvelope"]
    holder = envelope if place == "payload" else envelope["signatures"][0]
    form = FORMATS["sigstore-bundle"]
    for what, text in variants(holder[place]).items():
        holder[place] = text
        other = rewritten(layer, json.dumps(bundle).encode())
        assert isinstance(form.examine(other, IMAGE, [KEY.verifier])[0], Rejected), what
        assert not form.parses(other), what


@pytest.mark.parametrize("value", [None, 1, True, [], {}, ["QQ=="]])
def test_json_values_that_are_no_strings(value: object) -> None:
    layer = KEY.layer("sigstore-bundle", IMAGE)
    for place in ("payload", "signatures"):
        bundle = json.loads(layer.data)
        bundle["dsseEnvelope"][place] = value if place == "payload" else [{"sig": value}]
        other = rewritten(layer, json.dumps(bundle).encode())
        assert isinstance(FORMATS["sigstore-bundle"].examine(other, IMAGE, [KEY.verifier])[0], Rejected)
