import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, RSAKey

from proxy.formats import jws, notary
from tests.worlds.certificates import certified, rsa_key
from tests.worlds.softkey import SoftKey, soft_key

AT = datetime(2026, 11, 25, 12, 0, 5, 999999, tzinfo=UTC)
KEY = certified()
MESSAGE = jws.message(b'{"x":1}', KEY.chain[0], AT)
DATA = jws.render(MESSAGE, KEY.sign(MESSAGE, "jose"), KEY.chain, b"token")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def edited(**parts: object) -> bytes:
    return json.dumps({**json.loads(DATA), **parts}).encode()


def protected(**changes: object) -> bytes:
    """The envelope with another protected header; None takes a header out. Its signature no longer matches."""
    header = {**json.loads(base64.urlsafe_b64decode(MESSAGE.partition(b".")[0] + b"==")), **changes}
    return edited(protected=b64(json.dumps({k: v for k, v in header.items() if v is not None}).encode()))


def test_what_is_written_is_read_back() -> None:
    envelope = jws.parse(DATA)
    assert (envelope.algorithm, envelope.payload, envelope.signed) == ("ES256", b'{"x":1}', MESSAGE)
    assert (envelope.chain, envelope.timestamp, envelope.expires) == (KEY.chain, b"token", None)
    assert envelope.signed_at == AT.replace(microsecond=0)
    assert jws.parse(jws.render(MESSAGE, b"s", KEY.chain)).timestamp == b""


@pytest.mark.parametrize("key", [soft_key("p256"), soft_key("p384"), SoftKey(rsa_key(2048))])
def test_another_library_verifies_what_is_written(key: SoftKey, monkeypatch: pytest.MonkeyPatch) -> None:
    given = certified(key)
    message = jws.message(b"{}", given.chain[0], AT)
    value = json.loads(jws.render(message, given.sign(message, "jose"), given.chain))
    known = given.private.public_key()
    public = RSAKey.import_key(known) if isinstance(known, RSAPublicKey) else ECKey.import_key(known)
    registry = joserfc_jws.JWSRegistry(algorithms=["ES256", "ES384", "PS256"], strict_check_header=False)
    monkeypatch.setattr(registry, "check_header", lambda _header: None)  # it knows no header of Notary's
    assert joserfc_jws.deserialize_json(value, public, registry=registry).payload == b"{}"


def test_an_offset_and_an_expiry_are_understood() -> None:
    changes = {
        notary.SIGNED_AT: "2026-11-25T13:00:05+01:00",
        notary.EXPIRY: "2026-11-26T12:00:05Z",
        "crit": [notary.EXPIRY, notary.SCHEME],
        "com.example.note": {"any": "thing"},
    }
    envelope = jws.parse(protected(**changes))
    assert envelope.signed_at == AT.replace(microsecond=0)
    assert envelope.expires == datetime(2026, 11, 26, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", DATA + b"x", DATA[:-1], DATA.replace(b'"signature"', b'"signatures"'),
        edited(more=1), edited(header={}), edited(header=[]), edited(header={"x5c": []}), edited(header={"x5c": "MII"}),
        edited(header={"x5c": ["MII"]}), edited(header={"x5c": [5]}), edited(payload=""), edited(payload="e30="),
        edited(payload="e31"), edited(payload="e3 0"), edited(payload=5), edited(signature=""), edited(protected="e30"),
        edited(protected=b64(b"[]")), edited(protected=b64(b'{"alg":"ES256","alg":"ES256"}')),
    ],
)  # fmt: skip
def test_bytes_of_another_shape_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        jws.parse(data)


@pytest.mark.parametrize("moment", ["2026-11-25", "2026-11-25T12:00:05", "2026-11-25T12:00:05.5Z", "20261125T120005Z",
                                    "2026-13-25T12:00:05Z", "2026-11-25T12:00:05z", 1764072005, None,
                                    "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])  # fmt: skip
def test_a_time_that_is_not_rfc_3339_in_whole_seconds(moment: object) -> None:
    with pytest.raises(ValueError, match=r"time|lacks|month"):
        jws.parse(protected(**{notary.SIGNED_AT: moment}))


@pytest.mark.parametrize("header", [{notary.TIMESTAMP: "!"}, {notary.TIMESTAMP: ""}, {notary.AGENT: 5}, {"alg": "none"},
                                    {"kid": "x"}, {"jku": "x"}, {"jwk": {}}, {"x5u": "x"}, {"crit": []}])  # fmt: skip
def test_the_unprotected_header_holds_three_things_and_no_other(header: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"not a JWS|timestamp|agent"):
        jws.parse(edited(header={**json.loads(DATA)["header"], **header}))


def test_only_our_messages_are_packed() -> None:
    with pytest.raises(ValueError, match="not a message"):
        jws.render(b"no dot", b"s", KEY.chain)
