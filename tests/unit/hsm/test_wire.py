import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import wire
from hsm.frames import BadFrame, frame_length

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
found = st.builds(
    wire.FoundKey, text, text, text, st.binary(), st.binary(), st.binary(),
    st.dictionaries(text, st.sampled_from([True, False, None])),
)  # fmt: skip
messages: st.SearchStrategy[Any] = st.one_of(
    st.builds(wire.Open, text, st.none() | text, st.none() | text, text, st.floats(0, 100)),
    st.builds(wire.Sign, text, text, text, st.sampled_from(["pkix", "jose"]), st.binary(), st.floats(0, 100)),
    st.builds(wire.Create, text, text, text, st.floats(0, 100)),
    st.builds(wire.ListKeys, st.floats(0, 100)),
    st.builds(wire.Describe, st.floats(0, 100)),
    st.builds(wire.Destroy, text, text, text, text, st.binary(), st.floats(0, 100)),
    st.builds(wire.Csr, text, text, text, st.binary(), text, st.floats(0, 100)),
    st.builds(wire.SelfSigned, text, text, text, st.binary(), text, *[st.floats(0, 4e9)] * 2, st.floats(0, 100)),
    st.builds(wire.Opened, text),
    st.builds(wire.Destroyed, st.booleans(), st.booleans()),
    st.builds(wire.Built, st.binary()),
    st.builds(wire.Signed, st.binary()),
    st.builds(wire.Keys, st.lists(found, max_size=3).map(tuple), st.lists(text, max_size=3).map(tuple)),
    st.builds(wire.Described, text, text, text, text, text, text, st.lists(text, max_size=3).map(tuple)),
    st.builds(wire.Failed, st.just("session-lost"), text),
)


@given(messages)
def test_what_is_sent_arrives(message: wire.Request | wire.Reply) -> None:
    frame = wire.encode(message)
    assert frame_length(frame[:4], wire.FRAME_LIMIT) == len(frame) - 4
    assert wire.decode(frame[4:]) == message


def test_requests_are_read_until_the_pipe_ends() -> None:
    sent: list[wire.Request] = [wire.Describe(1.0), wire.Sign("00", "k", "ecdsa-p256", "jose", b"m", 2.0)]
    pipe = b"".join(wire.encode(request) for request in sent)
    assert list(wire.requests(io.BytesIO(pipe))) == sent
    assert list(wire.requests(io.BytesIO(pipe[:-1]))) == sent[:1]
    with pytest.raises(BadFrame, match="Opened is no request"):
        list(wire.requests(io.BytesIO(wire.encode(wire.Opened("1")))))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b'{"is":"Exec"}',
        b'{"is":"Describe"}',
        b'{"is":"Describe","seconds":1,"more":2}',
        b'{"is":"Describe","seconds":"1"}',
        b'{"is":"Describe","seconds":true}',
        b'{"is":"Signed","raw":"@@"}',
        b'{"is":"Signed","raw":1}',
        b'{"is":"Failed","reason":"because","text":""}',
        b'{"is":"Keys","keys":[{}],"strange":[]}',
        b'{"is":"Keys","keys":{},"strange":[]}',
        b'{"is":["Keys"]}',
    ],
)
def test_anything_else_is_no_message(body: bytes) -> None:
    with pytest.raises(BadFrame):
        wire.decode(body)


@given(st.binary(max_size=60))
def test_noise_is_no_message(body: bytes) -> None:
    with pytest.raises(BadFrame):
        wire.decode(body)


def test_nested_noise_does_not_exhaust_the_stack() -> None:
    with pytest.raises(BadFrame):
        wire.decode(b"[" * 100_000)


@pytest.mark.parametrize("header", [b"\xff\xff\xff\xff", b"\0\0\0", b""])
def test_a_length_beyond_the_limit_is_noise(header: bytes) -> None:
    with pytest.raises(BadFrame):
        frame_length(header, wire.FRAME_LIMIT)


def test_the_pin_is_not_shown() -> None:
    order = wire.Open("m", "l", None, "canary", 1.0)
    assert "canary" not in repr(order)
    assert json.loads(wire.encode(order)[4:])["pin"] == "canary"
