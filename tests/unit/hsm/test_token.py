"""A token's answers are checked before anybody sees them; real tokens are in tests/contract."""

from __future__ import annotations

from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hsm import KeyInfo, SignatureInvalid, Token, TokenError, TokenSettings, wire
from hsm.encoding import verifies
from hsm.errors import MechanismMissing
from hsm.mechanisms import Scheme, algorithm_named
from hsm.pool import Pool
from tests.worlds.softkey import soft_key

SETTINGS = TokenSettings(module="/no/such/module.so", label="test")
SOFT, OTHER = soft_key(), soft_key()
KEY = KeyInfo("release", "01", "ecdsa-p256", SOFT.spki, "0001", {})
P256 = algorithm_named("ecdsa-p256")


@pytest.fixture
async def token() -> Token:
    """A token whose children were never started."""
    return Token(SETTINGS, Pool(SETTINGS))


def raw(key: object, message: bytes) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return b"".join(half.to_bytes(32, "big") for half in decode_dss_signature(key.sign(message, ec.ECDSA(SHA256()))))


async def test_a_raw_signature_leaves_as_der_that_verifies(token: Token) -> None:
    made = token._checked(P256, KEY, b"message", "pkix", wire.Signed(raw(SOFT.private, b"message")))
    assert verifies(SOFT.spki, b"message", made)


async def test_in_the_scheme_of_jose_it_leaves_as_it_came(token: Token) -> None:
    made = raw(SOFT.private, b"message")
    assert token._checked(P256, KEY, b"message", "jose", wire.Signed(made)) == made


async def test_a_signature_that_does_not_verify_is_never_handed_out(token: Token) -> None:
    wrong = (raw(OTHER.private, b"message"), raw(SOFT.private, b"another"), bytes(64), b"", b"short")
    for signature in wrong:
        for scheme in get_args(Scheme):
            with pytest.raises(SignatureInvalid, match=r"token 'test'.*'release'"):
                token._checked(P256, KEY, b"message", scheme, wire.Signed(signature))


async def test_a_public_half_that_is_no_key_is_named(token: Token) -> None:
    point = SOFT.spki[-65:]
    found = wire.FoundKey("01", "release", "ecdsa-p256", point, b"", b"", {"SENSITIVE": True})
    assert token._key_info(found, "0001") == KeyInfo(**{**vars(KEY), "attributes": {"SENSITIVE": True}})
    broken = wire.FoundKey("01", "release", "ecdsa-p256", point[:-1], b"", b"", {})
    with pytest.raises(TokenError, match="the public half of 'release' is no key"):
        token._key_info(broken, "0001")


async def test_what_cannot_be_signed_or_made_is_refused_before_any_child_is_asked(token: Token) -> None:
    with pytest.raises(TokenError, match=f"signs at most {wire.MESSAGE_LIMIT} bytes"):
        await token.sign(KEY, bytes(wire.MESSAGE_LIMIT + 1), deadline=60)
    with pytest.raises(TokenError, match="a key needs a label"):
        await token.create("", "ecdsa-p256")
    with pytest.raises(MechanismMissing, match="choose one of"):
        await token.create("release", "dsa-1024")
