"""cosign's simple signing, drafted, packed, parsed and examined."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats.algorithms import to_base64
from proxy.formats.format import Layer
from proxy.formats.simple_signing import CERTIFICATE, MEDIA_TYPE, SIGNATURE, SIMPLE, parse
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.reason import Reason
from tests.worlds.softkey import MADE, MAKERS, about, annotated, rewritten, soft_key

IMAGE, OTHER = digest_of(b"image"), digest_of(b"other")
KEY = soft_key()
LAYER = KEY.layer("cosign-simple", IMAGE, "r.example/app:1", pusher="alice")


def reason(layer: Layer, *keys: object) -> Reason | None:
    [finding] = SIMPLE.examine(layer, IMAGE, [k.verifier for k in keys])  # type: ignore[attr-defined]
    return finding.reason if isinstance(finding, Rejected) else None


def test_the_payload_is_byte_for_byte_what_cosign_writes() -> None:
    bare = SIMPLE.draft(about(IMAGE), "r.example/app", {}, KEY.by, MADE)
    assert bare.message == (
        b'{"critical":{"identity":{"docker-reference":"r.example/app"},'
        b'"image":{"docker-manifest-digest":"' + IMAGE.encode() + b'"},'
        b'"type":"cosign container image signature"},"optional":null}'
    )
    assert LAYER.data.endswith(b'"optional":{"pusher":"alice"}}')


@pytest.mark.parametrize("kind", MAKERS)
def test_round_trip(kind: str) -> None:
    key = soft_key(kind)
    layer = key.layer("cosign-simple", IMAGE, "r.example/app:1", pusher="alice")
    verified = Verified(key.verifier.fingerprint, "cosign-simple", "r.example/app:1", {"pusher": "alice"})
    assert SIMPLE.examine(layer, IMAGE, [soft_key("p256").verifier, key.verifier]) == (verified,)
    assert SIMPLE.parses(layer)
    assert SIMPLE.subject_of(layer) == IMAGE


def test_names_that_containers_image_gives_another_type_are_no_claims() -> None:
    with pytest.raises(ValueError, match="timestamp"):
        SIMPLE.draft(about(IMAGE), "r.example/app", {"timestamp": "2026-01-02"}, KEY.by, MADE)


def test_reasons() -> None:
    stranger = soft_key()
    assert reason(LAYER) is Reason.UNTRUSTED_KEY
    assert reason(LAYER, stranger) is Reason.UNTRUSTED_KEY
    assert reason(LAYER, stranger, KEY) is None
    assert reason(KEY.layer("cosign-simple", OTHER), KEY) is Reason.WRONG_SUBJECT
    assert reason(KEY.layer("cosign-simple", OTHER), stranger) is Reason.UNTRUSTED_KEY  # unverified: not believed
    assert reason(annotated(LAYER, {}), KEY) is Reason.BAD_SIGNATURE
    assert reason(annotated(LAYER, {SIGNATURE: ""}), KEY) is Reason.BAD_SIGNATURE
    assert reason(annotated(LAYER, {SIGNATURE: to_base64(b"junk")}), KEY) is Reason.BAD_SIGNATURE
    assert reason(rewritten(LAYER, b"{}"), KEY) is Reason.BAD_SIGNATURE


def test_a_certificate_beside_it_is_told() -> None:
    layer = annotated(LAYER, {**LAYER.descriptor.annotations, CERTIFICATE: "-----BEGIN CERTIFICATE-----"})
    [finding] = SIMPLE.examine(layer, IMAGE, [soft_key().verifier])
    assert isinstance(finding, Rejected)
    assert "keyless" in finding.detail
    assert reason(layer, KEY) is None  # the certificate chooses nothing


def test_a_signed_payload_must_still_be_one() -> None:
    data = b'{"critical":{}}'
    layer = Layer(Descriptor(MEDIA_TYPE, digest_of(data), len(data), {SIGNATURE: to_base64(KEY.sign(data))}), data)
    assert reason(layer, KEY) is Reason.UNREAD_PAYLOAD
    assert reason(layer, soft_key()) is Reason.BAD_SIGNATURE
    assert SIMPLE.subject_of(layer) is None


@pytest.mark.parametrize("optional", [None, {}, {"creator": "cosign", "timestamp": 1, "nested": {"any": [1, None]}}])
def test_optional_is_null_or_any_object(optional: object) -> None:
    payload = {**json.loads(LAYER.data), "optional": optional}
    assert parse(json.dumps(payload).encode()).digest == IMAGE


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("optional",), []),
        (("optional",), "x"),
        (("extra",), 1),
        (("critical", "extra"), 1),
        (("critical", "type"), "atomic container signature"),
        (("critical", "image", "Docker-manifest-digest"), IMAGE),
        (("critical", "image", "docker-manifest-digest"), IMAGE.upper()),
        (("critical", "image", "docker-manifest-digest"), None),
        (("critical", "identity", "docker-reference"), None),
        (("critical", "identity"), []),
    ],
)
def test_every_other_shape_is_refused(path: tuple[str, ...], value: object) -> None:
    payload = json.loads(LAYER.data)
    place = payload
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    layer = rewritten(LAYER, json.dumps(payload).encode())
    assert not SIMPLE.parses(layer)
    assert SIMPLE.subject_of(layer) is None


@given(st.binary(max_size=200), st.text(max_size=80))
def test_examine_never_raises(data: bytes, signature: str) -> None:
    layer = Layer(Descriptor(MEDIA_TYPE, digest_of(data), len(data), {SIGNATURE: signature}), data)
    [finding] = SIMPLE.examine(layer, IMAGE, [KEY.verifier])
    assert isinstance(finding, Rejected)
    assert not SIMPLE.parses(layer)
    assert SIMPLE.subject_of(layer) is None


@given(st.integers(0, len(LAYER.data) - 1), st.integers(1, 255))
def test_no_changed_byte_verifies(at: int, flip: int) -> None:
    data = bytearray(LAYER.data)
    data[at] ^= flip
    [finding] = SIMPLE.examine(rewritten(LAYER, bytes(data)), IMAGE, [KEY.verifier])
    assert isinstance(finding, Rejected)
