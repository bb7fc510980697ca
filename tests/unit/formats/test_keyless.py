"""What a bundle with a certificate must say, apart from who signed it."""

from __future__ import annotations

import pytest

from proxy.formats import dsse
from proxy.formats.keyless import finding, unfit, with_certificate
from proxy.oci.reference import parse_digest
from proxy.trust.authority import KeylessResult
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.reason import Reason
from tests.worlds.sigstore import IDENTITY, ISSUER, Sigstore, attested, layer_of_bundle, signer_of, statement_of
from tests.worlds.softkey import soft_key

DIGEST, OTHER = (parse_digest("sha256:" + c * 64) for c in "ab")
WORLD = Sigstore()
SIGNER = signer_of(WORLD)


def test_only_bundles_with_certificates_are_for_this() -> None:
    key = soft_key()
    assert with_certificate(layer_of_bundle(WORLD.bundle(DIGEST))) is not None
    assert with_certificate(key.layer("sigstore-bundle", DIGEST)) is None
    assert with_certificate(key.layer("cosign-simple", DIGEST)) is None
    assert with_certificate(layer_of_bundle({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"})) is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(attested(DIGEST), Reason.UNSIGNED), (statement_of(OTHER), Reason.WRONG_SUBJECT), (statement_of(DIGEST), None)],
    ids=["attestation", "subject", "fits"],
)
def test_an_attestation_or_another_subject_is_no_signature(payload: bytes, reason: Reason | None) -> None:
    bundle = with_certificate(layer_of_bundle(WORLD.bundle(DIGEST, payload=payload)))
    assert bundle is not None
    said = unfit(bundle, DIGEST)
    assert (said.reason if said else None) is reason


def test_two_subjects_are_none() -> None:
    two = statement_of(DIGEST).replace(b'"subject":[', b'"subject":[{"digest":{"sha256":"' + b"c" * 64 + b'"}},')
    bundle = with_certificate(layer_of_bundle(WORLD.bundle(DIGEST, payload=two)))
    assert bundle is not None
    assert unfit(bundle, DIGEST) is not None


def test_what_was_verified_is_what_was_read() -> None:
    bundle = with_certificate(layer_of_bundle(WORLD.bundle(DIGEST)))
    assert bundle is not None
    good = finding(bundle, SIGNER, KeylessResult(IDENTITY, dsse.IN_TOTO, statement_of(DIGEST)))
    assert isinstance(good, Verified)
    assert (good.fingerprint, good.claims) == (SIGNER.fingerprint(IDENTITY), {"identity": IDENTITY, "issuer": ISSUER})
    for kind, payload in ((dsse.IN_TOTO, statement_of(OTHER)), ("text/plain", statement_of(DIGEST))):
        assert isinstance(finding(bundle, SIGNER, KeylessResult(IDENTITY, kind, payload)), Rejected)
