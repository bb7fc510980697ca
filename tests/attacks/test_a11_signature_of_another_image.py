"""A good signature in the wrong place: of digest A on image B, of repository A in B, with two subjects or none."""

from __future__ import annotations

import json

import pytest

from proxy.formats import dsse, statement
from proxy.formats.bundle import BUNDLE
from proxy.formats.format import Layer
from proxy.formats.simple_signing import SIMPLE
from proxy.formats.table import FORMATS
from proxy.oci.reference import Digest, digest_of
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.reason import Reason
from tests.worlds.softkey import layer_of, rewritten, soft_key

A, B = digest_of(b"image a"), digest_of(b"image b")
HEX_A, HEX_B = A.removeprefix("sha256:"), B.removeprefix("sha256:")
KEY = soft_key()


def signed(subject: object) -> Layer:
    """A bundle whose statement has exactly this as its subject list, signed with the right key."""
    said = {**json.loads(statement.render(A, "r.example/a", {})), "subject": subject}
    message = dsse.pae(dsse.IN_TOTO, json.dumps(said).encode())
    return layer_of(BUNDLE.blob(message, KEY.sign(message), KEY.by))


def reason(form: str, layer: Layer, subject: Digest) -> Reason:
    [finding] = FORMATS[form].examine(layer, subject, [KEY.verifier])
    assert isinstance(finding, Rejected)
    return finding.reason


@pytest.mark.parametrize("form", FORMATS)
def test_signature_of_a_on_b(form: str) -> None:
    assert reason(form, KEY.layer(form, A), B) is Reason.WRONG_SUBJECT


@pytest.mark.parametrize("form", FORMATS)
def test_the_repository_that_was_signed_is_handed_on(form: str) -> None:
    [finding] = FORMATS[form].examine(KEY.layer(form, A, "r.example/a"), A, [KEY.verifier])
    assert isinstance(finding, Verified)
    assert finding.bound == "r.example/a"  # the decision compares it with the repository that is pulled


def test_the_digest_swapped_inside_a_signed_payload() -> None:
    layer = KEY.layer("cosign-simple", A)
    swapped = rewritten(layer, layer.data.replace(A.encode(), B.encode()))
    assert SIMPLE.subject_of(swapped) == B
    assert reason("cosign-simple", swapped, B) is Reason.UNTRUSTED_KEY


def test_the_digest_swapped_inside_a_signed_statement() -> None:
    layer = KEY.layer("sigstore-bundle", A)
    bundle = json.loads(layer.data)
    other = json.loads(KEY.layer("sigstore-bundle", B).data)
    bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    assert reason("sigstore-bundle", rewritten(layer, json.dumps(bundle).encode()), B) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "subject",
    [
        [{"digest": {"sha256": HEX_B}}],
        [{"digest": {"sha256": HEX_A}}, {"digest": {"sha256": HEX_B}}],
        [{"digest": {"sha256": HEX_A}}, {"digest": {"sha256": HEX_A}}],
        [{"name": f"r.example/a@{A}"}],
        [{"name": A, "digest": {}}],
        [{"digest": {"sha256": HEX_A, "sha512": "0" * 128}}],
        [{"digest": {"sha512": HEX_A}}],
        [{"digest": {"sha256": HEX_A.upper()}}],
        [{"digest": {"SHA256": HEX_A}}],
        [{"digest": {"sha256": f"{HEX_A} "}}],
        [{"annotations": {"digest": A}}],
    ],
)
def test_subjects_that_are_not_this_image_alone(subject: object) -> None:
    assert reason("sigstore-bundle", signed(subject), A) is Reason.WRONG_SUBJECT


def test_the_same_subject_written_properly_is_accepted() -> None:
    [finding] = BUNDLE.examine(signed([{"digest": {"sha256": HEX_A}}]), A, [KEY.verifier])
    assert isinstance(finding, Verified)


@pytest.mark.parametrize("digest", [A.upper(), A[:-1], f"{A}0", HEX_A, f"md5:{HEX_A[:32]}", f"sha512:{HEX_A}", ""])
def test_digests_of_another_shape_in_a_signed_payload(digest: str) -> None:
    text = KEY.draft("cosign-simple", A, "r.example/a").replace(A.encode(), digest.encode())
    layer = layer_of(SIMPLE.blob(text, KEY.sign(text), KEY.by))
    assert reason("cosign-simple", layer, A) is Reason.UNREAD_PAYLOAD
