import json

import pytest

from proxy.formats import notary
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import digest_of

IMAGE = Descriptor("application/vnd.oci.image.manifest.v1+json", digest_of(b"image"), 7)
GOOD = json.loads(notary.render_payload(IMAGE, "r.example/app", {"pusher": "alice"}))
TARGET = GOOD["targetArtifact"]
CHANGES: tuple[dict[str, object], ...] = (
    {"urls": []},
    {"digest": "sha256:x"},
    {"digest": 5},
    {"size": True},
    {"size": -1},
    {"size": 7.0},
    {"mediaType": None},
    {"annotations": None},
    {"annotations": {"a": 1}},
)


def test_what_is_written_is_read_back() -> None:
    payload = notary.parse_payload(notary.render_payload(IMAGE, "r.example/app", {"pusher": "alice"}))
    assert (payload.digest, payload.reference, payload.claims) == (IMAGE.digest, "r.example/app", {"pusher": "alice"})


def test_a_payload_that_says_nothing_more_is_bound_to_nothing() -> None:
    bare = {k: v for k, v in TARGET.items() if k != "annotations"}
    payload = notary.parse_payload(json.dumps({"targetArtifact": bare}).encode())
    assert (payload.reference, payload.claims) == (None, {})


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {**GOOD, "more": 1},
        {"targetArtifact": []},
        {"TargetArtifact": TARGET},
        *(
            {"targetArtifact": {k: v for k, v in TARGET.items() if k != gone}}
            for gone in ("mediaType", "digest", "size")
        ),
        *({"targetArtifact": {**TARGET, **change}} for change in CHANGES),
    ],
)
def test_a_payload_of_another_shape_is_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"ayload|targetArtifact"):
        notary.parse_payload(json.dumps(value).encode())


def test_json_that_is_read_in_two_ways_is_no_payload() -> None:
    twice = json.dumps(GOOD).encode().replace(b'"size"', b'"digest": "sha256:00", "size"')
    with pytest.raises(ValueError, match="not strict JSON"):
        notary.parse_payload(twice)


@pytest.mark.parametrize(
    ("critical", "protected", "said"),
    [
        ([], {}, "no critical headers"),
        (None, {}, "no critical headers"),
        ("io.cncf.notary.signingScheme", {}, "no critical headers"),
        ([5], {}, "unknown shape"),
        ([notary.SCHEME, notary.SCHEME], {}, "unknown shape"),
        ([notary.SCHEME, "b64"], {"b64": False}, "not understood here or missing: 'b64'"),
        ([notary.SCHEME, notary.EXPIRY], {}, "not understood here or missing"),
        ([notary.EXPIRY], {notary.EXPIRY: 1}, "signingScheme must be marked critical"),
        ([notary.SCHEME], {notary.EXPIRY: 1}, "expiry must be marked critical"),
        ([notary.SCHEME, "io.cncf.notary.verificationPlugin"], {"io.cncf.notary.verificationPlugin": "x"}, "plugin"),
    ],
)
def test_critical_headers(critical: object, protected: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"(?i){said}"):
        notary.check_critical(critical, {notary.SCHEME: notary.X509, **protected})
    notary.check_critical([notary.EXPIRY, notary.SCHEME], {notary.SCHEME: notary.X509, notary.EXPIRY: 1})
