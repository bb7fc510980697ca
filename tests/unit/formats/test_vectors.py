"""What the real cosigns wrote is what we say it is."""

from __future__ import annotations

import pytest

from proxy.formats.carrier import config_parses, config_to_check, is_artifact_shape
from proxy.formats.table import claimed_by
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected, SignatureCheck, Verified
from proxy.trust.reason import Reason
from tests.vectors.vector import NAMES, Vector, load
from tests.worlds.softkey import soft_key

REFUSED = {"cosign3-attestation": Reason.UNREAD_PAYLOAD}


def examine(vector: Vector) -> list[SignatureCheck]:
    found: list[SignatureCheck] = []
    for layer in vector.layers:
        form = claimed_by(layer.descriptor.media_type)
        assert form is not None
        found += form.examine(layer, vector.subject, vector.keys)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_shape(name: str) -> None:
    vector = load(name)
    assert is_artifact_shape(vector.manifest)
    config = config_to_check(vector.manifest)
    assert config is None or config.digest == digest_of(vector.config)
    assert config_parses(vector.config)
    for layer in vector.layers:
        form = claimed_by(layer.descriptor.media_type)
        assert form is not None
        assert digest_of(layer.data) == layer.descriptor.digest
        assert form.parses(layer)
        assert form.subject_of(layer) == vector.subject


@pytest.mark.parametrize("name", sorted(set(NAMES) - REFUSED.keys()))
def test_verified(name: str) -> None:
    vector = load(name)
    found = examine(vector)
    assert [f.fingerprint for f in found if isinstance(f, Verified)] == [k.fingerprint for k in vector.keys]
    for finding in found:
        assert isinstance(finding, Verified)
        annotated = {"pusher": "alice"} if "annotated" in name else {}
        assert annotated.items() <= finding.claims.items()
        if "bundle" in name:
            assert finding.bound is None
        else:
            bound = "registry.example/team/app:1" if "annotated" in name else vector.repository
            assert finding.bound == bound


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    assert {f.reason for f in examine(load(name)) if isinstance(f, Rejected)} == {REFUSED[name]}


@pytest.mark.parametrize("name", NAMES)
def test_other_subjects_and_other_keys(name: str) -> None:
    vector = load(name)
    for layer in vector.layers:
        form = claimed_by(layer.descriptor.media_type)
        assert form is not None
        findings = (
            *form.examine(layer, digest_of(b"another image"), vector.keys),
            *form.examine(layer, vector.subject, [soft_key().verifier]),
            *form.examine(layer, vector.subject, []),
        )
        assert len(findings) == 3
        assert all(isinstance(finding, Rejected) for finding in findings)
