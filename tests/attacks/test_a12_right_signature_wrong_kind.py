"""Signed with the release key, about this very image, and still no image signature."""

from __future__ import annotations

import json

import pytest

from proxy.formats import dsse, statement
from proxy.formats.bundle import BUNDLE
from proxy.formats.format import Layer
from proxy.formats.simple_signing import SIMPLE
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected
from proxy.trust.reason import Reason
from tests.vectors.vector import load
from tests.worlds.softkey import layer_of, soft_key

IMAGE = digest_of(b"image")
KEY = soft_key()


def bundle(predicate_type: object, payload_type: str = dsse.IN_TOTO) -> Layer:
    said = {**json.loads(statement.render(IMAGE, "r.example/app", {})), "predicateType": predicate_type}
    payload = json.dumps(said).encode()
    draft = dsse.pae(dsse.IN_TOTO, payload)
    packed = json.loads(BUNDLE.blob(draft, b"placeholder", KEY.by).data)
    envelope = dsse.Envelope(payload_type, payload, KEY.sign(dsse.pae(payload_type, payload)))
    packed["dsseEnvelope"] = dsse.render(envelope)
    blob = BUNDLE.blob(draft, b"placeholder", KEY.by)
    return layer_of(type(blob)(blob.media_type, json.dumps(packed).encode(), {}))


def finding(layer: Layer) -> object:
    [found] = BUNDLE.examine(layer, IMAGE, [KEY.verifier])
    return found


@pytest.mark.parametrize(
    "predicate_type",
    [
        "https://cosign.sigstore.dev/attestation/vuln/v1",
        "https://spdx.dev/Document",
        "https://cyclonedx.org/bom",
        "https://slsa.dev/provenance/v1",
        "https://sigstore.dev/cosign/sign/v2",
        "https://sigstore.dev/cosign/sign/v1/",
        "HTTPS://sigstore.dev/cosign/sign/v1",
        "",
    ],
)
def test_attestations(predicate_type: str) -> None:
    found = finding(bundle(predicate_type))
    assert isinstance(found, Rejected)
    assert found.reason is Reason.UNREAD_PAYLOAD
    assert "attestation" in found.detail


def test_the_real_one_differs_in_nothing_else() -> None:
    assert not isinstance(finding(bundle(statement.IMAGE_SIGNATURE)), Rejected)


def test_what_cosign_attest_wrote() -> None:
    vector = load("cosign3-attestation")
    [layer] = vector.layers
    [found] = BUNDLE.examine(layer, vector.subject, vector.keys)
    assert isinstance(found, Rejected)
    assert "attestation/vuln" in found.detail


def test_another_payload_type() -> None:
    found = finding(bundle(statement.IMAGE_SIGNATURE, "application/vnd.example+json"))
    assert isinstance(found, Rejected)
    assert found.reason is Reason.UNREAD_PAYLOAD


def test_no_predicate_type_at_all() -> None:
    assert isinstance(finding(bundle(None)), Rejected)


def test_a_signature_of_one_format_is_none_of_the_other() -> None:
    statement_bytes = statement.render(IMAGE, "r.example/app", {})
    as_simple = layer_of(SIMPLE.blob(statement_bytes, KEY.sign(statement_bytes), KEY.by))
    [found] = SIMPLE.examine(as_simple, IMAGE, [KEY.verifier])
    assert isinstance(found, Rejected)
    # The bare payload signed in place of its encoding: a signature made for something else must not be reusable.
    packed = json.loads(BUNDLE.blob(dsse.pae(dsse.IN_TOTO, statement_bytes), KEY.sign(statement_bytes), KEY.by).data)
    template = BUNDLE.blob(dsse.pae(dsse.IN_TOTO, statement_bytes), b"x", KEY.by)
    layer = layer_of(type(template)(template.media_type, json.dumps(packed).encode(), {}))
    assert isinstance(finding(layer), Rejected)


def test_another_payload_kind_under_simple_signing() -> None:
    text = KEY.draft("cosign-simple", IMAGE, "r.example/app").replace(b"cosign container image", b"atomic container")
    layer = layer_of(SIMPLE.blob(text, KEY.sign(text), KEY.by))
    [found] = SIMPLE.examine(layer, IMAGE, [KEY.verifier])
    assert isinstance(found, Rejected)
    assert found.reason is Reason.UNREAD_PAYLOAD
