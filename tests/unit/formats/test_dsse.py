"""The envelope: one signature, strict base64, and an encoding that can be undone in one way only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats.dsse import IN_TOTO, Envelope, pae, parse, payload_of, render


def test_pae_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=40))
def test_payload_round_trip(payload: bytes) -> None:
    assert payload_of(pae(IN_TOTO, payload)) == payload


@given(st.binary(max_size=80))
def test_no_other_message_has_a_payload(message: bytes) -> None:
    with pytest.raises(ValueError, match="DSSE"):
        payload_of(message)


def test_lengths_must_be_right() -> None:
    right = pae(IN_TOTO, b"hello")
    for wrong in (right + b"!", right[:-1], right.replace(b" 5 ", b" 05 "), right.replace(b" 5 ", b" +5 ")):
        with pytest.raises(ValueError, match="DSSE"):
            payload_of(wrong)
    with pytest.raises(ValueError, match="DSSE"):
        payload_of(pae("text/plain", b"hello"))


def test_round_trip() -> None:
    envelope = Envelope(IN_TOTO, b"payload", b"signature")
    assert parse(render(envelope)) == envelope
    assert envelope.message == pae(IN_TOTO, b"payload")


GOOD = {"payload": "QQ==", "payloadType": IN_TOTO, "signatures": [{"sig": "QQ=="}]}


@pytest.mark.parametrize(
    "change",
    [
        {"signatures": []},
        {"signatures": [{"sig": "QQ=="}, {"sig": "QQ=="}]},
        {"signatures": [{"sig": "QR=="}]},
        {"signatures": [{"sig": ""}]},
        {"signatures": [{"sig": None}]},
        {"signatures": [{}]},
        {"signatures": ["QQ=="]},
        {"signatures": {"0": {"sig": "QQ=="}}},
        {"signatures": [{"sig": "QQ==", "keyid": 1}]},
        {"signatures": [{"sig": "QQ==", "cert": "x"}]},
        {"payload": "QR=="},
        {"payload": None},
        {"payloadType": None},
        {"payloadType": "é"},
        {"Payload": "QQ=="},
    ],
)
def test_every_other_shape_is_refused(change: dict[str, object]) -> None:
    assert parse(GOOD)
    with pytest.raises(ValueError, match="DSSE"):
        parse({**GOOD, **change})


def test_keyid_may_be_there_and_means_nothing() -> None:
    assert parse({**GOOD, "signatures": [{"sig": "QQ==", "keyid": "any"}]}) == parse(GOOD)
