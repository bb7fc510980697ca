"""One table of formats."""

from __future__ import annotations

from proxy.formats.bundle import BUNDLE
from proxy.formats.simple_signing import SIMPLE
from proxy.formats.table import FORMATS, claimed_by
from proxy.trust import policy


def test_every_format_a_policy_may_name_is_here() -> None:
    assert tuple(FORMATS) == policy.FORMATS


def test_media_types_have_one_claimant() -> None:
    claims = [media_type for form in FORMATS.values() for media_type in form.media_types]
    assert len(claims) == len(set(claims))
    assert all(claimed_by(media_type) for media_type in claims)


def test_claims() -> None:
    assert claimed_by("application/vnd.dev.cosign.simplesigning.v1+json") is SIMPLE
    assert claimed_by("application/vnd.dev.sigstore.bundle.v0.3+json") is BUNDLE
    assert claimed_by("application/vnd.dev.sigstore.bundle.v0.4+json") is None
    assert claimed_by("application/vnd.oci.image.layer.v1.tar+gzip") is None
    assert claimed_by("") is None
