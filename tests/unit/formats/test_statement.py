"""The statement inside a bundle."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats.statement import IMAGE_SIGNATURE, V1, parse, render
from proxy.oci.reference import digest_of

SUBJECT = digest_of(b"image")
HEX = SUBJECT.removeprefix("sha256:")
GOOD: dict[str, object] = {
    "_type": V1,
    "subject": [{"digest": {"sha256": HEX}}],
    "predicateType": IMAGE_SIGNATURE,
    "predicate": {},
}


def say(**change: object) -> bytes:
    return json.dumps({**GOOD, **change}).encode()


def test_round_trip() -> None:
    said = parse(render(SUBJECT, "r.example/app:1", {"pusher": "zoë\ud800"}))
    assert said.subject == SUBJECT
    assert said.reference == "r.example/app:1"
    assert said.claims == {"pusher": "zoë?"}
    assert said.predicate_type == IMAGE_SIGNATURE


def test_a_statement_may_bind_no_name() -> None:
    said = parse(say())
    assert (said.subject, said.reference, said.claims) == (SUBJECT, None, {})


@pytest.mark.parametrize(
    "digest",
    [
        None,
        {},
        {"sha256": HEX.upper()},
        {"sha256": HEX[1:]},
        {"sha1": HEX[:40]},
        {"sha256": 1},
        {"sha256": HEX, "sha512": HEX * 2},
        HEX,
    ],
)
def test_a_subject_has_exactly_one_digest(digest: object) -> None:
    assert parse(say(subject=[{"digest": digest}])).subject is None
    assert parse(say(subject=[{"name": f"app@{SUBJECT}"}])).subject is None


def test_two_subjects_are_no_subject() -> None:
    said = parse(say(subject=[{"digest": {"sha256": HEX}}, {"digest": {"sha256": HEX}}]))
    assert said.subject is None
    assert said.subjects == (SUBJECT, SUBJECT)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v2"},
        {"_type": [V1]},
        {"predicateType": None},
        {"predicate": "x"},
        {"predicate_type": IMAGE_SIGNATURE},
        {"subject": []},
        {"subject": {}},
        {"subject": ["x"]},
        {"subject": [{"digest": {"sha256": HEX}, "Digest": {}}]},
        {"subject": [{"digest": {"sha256": HEX}, "annotations": []}]},
        {"subject": [{"digest": {"sha256": HEX}, "annotations": {"docker-reference": 1}}]},
    ],
)
def test_every_other_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="in-toto"):
        parse(say(**change))


@given(st.binary(max_size=80))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="statement"):
        parse(data)
