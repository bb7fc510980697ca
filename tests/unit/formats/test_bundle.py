"""Sigstore bundles, drafted, packed, parsed and examined."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import dsse, statement
from proxy.formats.bundle import BUNDLE, MEDIA_TYPE, MEDIA_TYPES, hint_of, parse
from proxy.formats.format import Layer
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.reason import Reason
from tests.worlds.softkey import MADE, MAKERS, SoftKey, about, layer_of, rewritten, soft_key

IMAGE, OTHER = digest_of(b"image"), digest_of(b"other")
KEY = soft_key()
LAYER = KEY.layer("sigstore-bundle", IMAGE, "r.example/app", pusher="alice")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def rejected(layer: Layer, *keys: SoftKey) -> Rejected:
    [finding] = BUNDLE.examine(layer, IMAGE, [k.verifier for k in keys])
    assert isinstance(finding, Rejected)
    return finding


def saying(key: SoftKey, **change: object) -> Layer:
    """A bundle signed over a changed statement."""
    said = {**json.loads(statement.render(IMAGE, "r.example/app", {})), **change}
    message = dsse.pae(dsse.IN_TOTO, json.dumps(said).encode())
    return layer_of(BUNDLE.blob(message, key.sign(message), key.by))


def edited(**change: object) -> Layer:
    return rewritten(LAYER, json.dumps({**json.loads(LAYER.data), **change}).encode())


@pytest.mark.parametrize("kind", MAKERS)
def test_round_trip(kind: str) -> None:
    key = soft_key(kind)
    layer = key.layer("sigstore-bundle", IMAGE, "r.example/app", pusher="alice")
    verified = Verified(key.verifier.fingerprint, "sigstore-bundle", "r.example/app", {"pusher": "alice"})
    assert BUNDLE.examine(layer, IMAGE, [soft_key().verifier, key.verifier]) == (verified,)
    assert BUNDLE.parses(layer)
    assert BUNDLE.subject_of(layer) == IMAGE
    assert parse(layer.data).hint == hint_of(key.spki)


def test_reasons() -> None:
    stranger = soft_key()
    assert rejected(LAYER).reason is Reason.UNTRUSTED_KEY
    assert rejected(LAYER, stranger).reason is Reason.UNTRUSTED_KEY
    assert rejected(KEY.layer("sigstore-bundle", OTHER), KEY).reason is Reason.WRONG_SUBJECT
    message = KEY.draft("sigstore-bundle", IMAGE)
    forged = layer_of(BUNDLE.blob(message, stranger.sign(message), KEY.by))
    assert rejected(forged, KEY).reason is Reason.BAD_SIGNATURE
    assert "release" in rejected(forged, KEY).detail
    assert rejected(edited(extra=1), KEY).reason is Reason.BAD_SIGNATURE


def test_the_hint_chooses_no_key() -> None:
    message = KEY.draft("sigstore-bundle", IMAGE)
    other = soft_key(name="other")
    misnamed = layer_of(BUNDLE.blob(message, KEY.sign(message), other.by))
    [finding] = BUNDLE.examine(misnamed, IMAGE, [other.verifier, KEY.verifier])
    assert isinstance(finding, Verified)
    assert finding.fingerprint == KEY.verifier.fingerprint
    material: object = {"publicKey": {}}
    assert isinstance(BUNDLE.examine(edited(verificationMaterial=material), IMAGE, [KEY.verifier])[0], Verified)


def test_keyless() -> None:
    materials: tuple[object, ...] = (
        {"certificate": {"rawBytes": "QQ=="}},
        {"x509CertificateChain": {"certificates": []}},
    )
    for material in materials:
        layer = edited(verificationMaterial=material)
        assert BUNDLE.parses(layer)
        assert rejected(layer, KEY).reason is Reason.UNTRUSTED_KEY
        assert "keyless" in rejected(layer, KEY).detail


def test_an_attestation_is_carried_and_is_no_signature() -> None:
    layer = saying(KEY, predicateType="https://spdx.dev/\x1b[31mDocument", predicate={"any": "thing"})
    assert BUNDLE.parses(layer)
    assert rejected(layer, KEY).reason is Reason.UNREAD_PAYLOAD
    assert rejected(layer, soft_key()).reason is Reason.UNSIGNED
    assert "\x1b" not in rejected(layer, KEY).detail


def test_a_statement_binds_no_name_when_it_names_none() -> None:
    layer = saying(KEY, subject=[{"digest": {"sha256": IMAGE.removeprefix("sha256:")}}])
    [finding] = BUNDLE.examine(layer, IMAGE, [KEY.verifier])
    assert isinstance(finding, Verified)
    assert finding.bound is None


def test_the_versions_we_read() -> None:
    for media_type in MEDIA_TYPES:
        assert BUNDLE.parses(edited(mediaType=media_type))
    for other in ("application/vnd.dev.sigstore.bundle.v0.4+json", "", None, [MEDIA_TYPE]):
        assert not BUNDLE.parses(edited(mediaType=other))


@pytest.mark.parametrize(
    "change",
    [
        {"messageSignature": {}},
        {"dsseEnvelope": None},
        {"verificationMaterial": None},
        {"verificationMaterial": {}},
        {"verificationMaterial": {"publicKey": {"hint": "x"}, "certificate": {}}},
        {"verificationMaterial": {"publicKey": {"hint": 1}}},
        {"verificationMaterial": {"publicKey": {"hint": "x", "rawBytes": ""}}},
        {"verificationMaterial": {"publicKey": []}},
        {"verificationMaterial": {"publicKey": {}, "tlogEntries": {}}},
        {"verificationMaterial": {"publicKey": {}, "timestampVerificationData": []}},
        {"verificationMaterial": {"public_key": {}}},
    ],
)
def test_every_other_shape_is_refused(change: dict[str, object]) -> None:
    assert not BUNDLE.parses(edited(**change))
    assert BUNDLE.subject_of(edited(**change)) is None
    assert rejected(edited(**change), KEY).reason is Reason.BAD_SIGNATURE


def test_another_payload_type_is_refused() -> None:
    envelope = {**json.loads(LAYER.data)["dsseEnvelope"], "payloadType": "text/plain"}
    assert "in-toto" in rejected(edited(dsseEnvelope=envelope), KEY).detail


def test_only_our_drafts_are_packed() -> None:
    with pytest.raises(ValueError, match="DSSE"):
        BUNDLE.blob(b"something else", b"signature", KEY.by)
    with pytest.raises(ValueError, match="docker-reference"):
        BUNDLE.draft(about(IMAGE), "r.example/app", {"docker-reference": "r.example/other"}, KEY.by, MADE)


@given(st.binary(max_size=200))
def test_examine_never_raises(data: bytes) -> None:
    layer = Layer(Descriptor(MEDIA_TYPE, digest_of(data), len(data)), data)
    assert rejected(layer, KEY).reason is Reason.BAD_SIGNATURE
    assert not BUNDLE.parses(layer)


@given(st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope"]), JSON)
def test_examine_never_raises_on_other_json(key: str, value: object) -> None:
    assert len(BUNDLE.examine(edited(**{key: value}), IMAGE, [KEY.verifier])) == 1


@given(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), JSON)
def test_examine_never_raises_on_other_statements(key: str, value: object) -> None:
    BUNDLE.examine(saying(KEY, **{key: value}), IMAGE, [KEY.verifier])
