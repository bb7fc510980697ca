from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import cose, notary
from tests.worlds.certificates import certified

AT = datetime(2026, 11, 25, 12, 0, 5, 999999, tzinfo=UTC)
KEY = certified()
MESSAGE = cose.message(b'{"x":1}', KEY.chain[0], AT)
DATA = cose.render(MESSAGE, KEY.sign(MESSAGE, "jose"), KEY.chain, b"token")
PARTS: list[Any] = cbor2.loads(DATA).value
PROTECTED: dict[Any, Any] = cbor2.loads(
    PARTS[0], semantic_decoders={1: lambda value, _immutable: cbor2.CBORTag(1, value)}
)


def packed(*parts: object, tag: int = 18) -> bytes:
    return bytes(cbor2.dumps(cbor2.CBORTag(tag, list(parts)), canonical=True))


def protected(changes: dict[object, object]) -> bytes:
    """The envelope with another protected header; None takes one out. Its signature no longer matches."""
    header = {k: v for k, v in {**PROTECTED, **changes}.items() if v is not None}
    return packed(cbor2.dumps(header, canonical=True), *PARTS[1:])


def unprotected(changes: dict[object, object]) -> bytes:
    return packed(PARTS[0], {k: v for k, v in {**PARTS[1], **changes}.items() if v is not None}, *PARTS[2:])


def test_what_is_written_is_read_back() -> None:
    envelope = cose.parse(DATA)
    assert (envelope.algorithm, envelope.payload, envelope.signed) == ("ES256", b'{"x":1}', MESSAGE)
    assert (envelope.chain, envelope.timestamp, envelope.expires) == (KEY.chain, b"token", None)
    assert envelope.signed_at == AT.replace(microsecond=0)
    assert cose.parse(cose.render(MESSAGE, b"s", KEY.chain)).timestamp == b""
    assert DATA[:2] == b"\xd2\x84", "a tagged array of four"


def test_an_expiry_and_further_attributes_are_understood() -> None:
    later = cbor2.CBORTag(1, int(AT.timestamp()) + 60)
    changes = {notary.EXPIRY: later, 2: [notary.SCHEME, notary.EXPIRY], "com.example.note": ["any", b"thing"]}
    envelope = cose.parse(protected(changes))
    assert envelope.expires == datetime(2026, 11, 25, 12, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xd2", DATA + b"\0", DATA[:-1], DATA[1:], packed(*PARTS, tag=98), packed(*PARTS[:3]),
        packed(*PARTS, b""),
        packed(b"", *PARTS[1:]), packed({}, *PARTS[1:]), packed(PARTS[0], {}, *PARTS[2:]),
        packed(*PARTS[:2], b"", PARTS[3]), packed(*PARTS[:2], None, PARTS[3]), packed(*PARTS[:3], b""),
        packed(b"\xa0", *PARTS[1:]), packed(b"\x80", *PARTS[1:]), packed(PARTS[0] + b"\0", *PARTS[1:]),
        unprotected({33: KEY.chain[0]}), unprotected({33: []}), unprotected({33: ["x"]}), unprotected({33: [b""]}),
        unprotected({notary.TIMESTAMP: "x"}), unprotected({notary.AGENT: b"x"}), unprotected({1: -7}),
        unprotected({4: b"kid"}), unprotected({35: "https://x.example"}),
    ],
)  # fmt: skip
def test_bytes_of_another_shape_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        cose.parse(data)


@pytest.mark.parametrize("moment", [None, 5, "2026-11-25T12:00:05Z", cbor2.CBORTag(1, -1), cbor2.CBORTag(1, 10**15),
                                    cbor2.CBORTag(1, True), cbor2.CBORTag(1, "5"), cbor2.CBORTag(1, 1.5)])  # fmt: skip
def test_a_time_that_is_not_whole_seconds_under_tag_1(moment: object) -> None:
    with pytest.raises(ValueError, match=r"time|lacks"):
        cose.parse(protected({notary.SIGNED_AT: moment}))


@pytest.mark.parametrize("tag", [0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 258, 260, 999, 55799])
def test_no_tag_but_the_two_is_given_a_meaning(tag: int) -> None:
    """Bignums and decimal fractions would take memory without end, expressions time."""
    for value in (b"\1", "x", [1, 2], 5):
        with pytest.raises(ValueError, match="not CBOR of a Notary signature"):
            cose.parse(protected({"note": cbor2.CBORTag(tag, value)}))


def test_only_the_deterministic_encoding_is_read() -> None:
    indefinite = b"\xd2\x9f" + DATA[2:] + b"\xff"
    long_form = b"\xd2\x98\x04" + DATA[2:]
    backwards = bytes(cbor2.dumps(cbor2.CBORTag(18, [PARTS[0], dict(reversed(PARTS[1].items())), *PARTS[2:]])))
    twice = DATA.replace(b"\xa2\x18\x21", b"\xa3\x01\x01\x18\x21", 1)
    for other in (indefinite, long_form, backwards, twice):
        assert other != DATA
        with pytest.raises(ValueError, match="not"):
            cose.parse(other)


def test_nesting_is_bounded() -> None:
    deep = b"\x81" * 100_000
    with pytest.raises(ValueError, match="not CBOR"):
        cose.parse(deep)


def test_only_our_messages_are_packed() -> None:
    for other in (b"", b"no", bytes(cbor2.dumps(["Signature", b"", b"", b""]))):
        with pytest.raises(ValueError, match="not"):
            cose.render(other, b"s", KEY.chain)


@pytest.mark.parametrize(
    "data",
    [
        cbor2.dumps([0] * 4097),
        cbor2.dumps([[[[0]]] * 1400]),
        cbor2.dumps(dict.fromkeys(range(3000), 0)),
        cbor2.dumps([b""] * 4096),
        b"\x9b" + b"\xff" * 8,
        b"\xba\xff\xff\xff\xff",
        b"\x00" * 1_000_000,
    ],
    ids=range(7),
)
def test_more_items_than_a_signature_has_are_refused_before_any_is_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cbor2, "loads", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="more than 4096 items"):
        cose.parse(data)


@given(st.binary(max_size=40))
def test_any_bytes_end_in_an_envelope_or_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not "):
        cose.parse(data)
