"""The algorithm comes from the key; a signature is one exact string of bytes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats.algorithms import ORDERS, algorithm_of, from_base64, is_plausible, to_base64, verifies
from tests.worlds.softkey import MAKERS, soft_key

MESSAGE = b"what is signed"


@pytest.mark.parametrize("kind", MAKERS)
def test_the_key_decides(kind: str) -> None:
    key, other = soft_key(kind), soft_key(kind)
    signature = key.sign(MESSAGE)
    assert verifies(key.spki, signature, MESSAGE)
    assert not verifies(key.spki, signature, MESSAGE + b"!")
    assert not verifies(other.spki, signature, MESSAGE)
    assert is_plausible(signature)


def test_names() -> None:
    found = {kind: algorithm_of(soft_key(kind).spki) for kind in MAKERS}
    assert found == {"p256": "P-256/SHA-256", "p384": "P-384/SHA-256", "rsa": "RSA-2048/PKCS1v15/SHA-256"}


def test_other_keys_are_refused() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - refused, as it should be
    others = (small, ec.generate_private_key(ec.SECP521R1()), ed25519.Ed25519PrivateKey.generate())
    for key in others:
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(ValueError, match="allowed are"):
            algorithm_of(spki)
    spki = small.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not verifies(spki, small.sign(MESSAGE, padding.PKCS1v15(), SHA256()), MESSAGE)


def test_one_key_has_one_spelling() -> None:
    key = soft_key()
    point = key.private.public_key()
    assert isinstance(point, ec.EllipticCurvePublicKey)
    compressed = point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    for spki in (head + compressed, key.spki + b"\0", key.spki[:-1], b"", b"not a key"):
        with pytest.raises(ValueError, match="not"):
            algorithm_of(spki)
        assert not verifies(spki, key.sign(MESSAGE), MESSAGE)


def test_hash_is_sha256_for_every_key() -> None:
    curve = ec.generate_private_key(ec.SECP384R1())
    spki = curve.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not verifies(spki, curve.sign(MESSAGE, ec.ECDSA(SHA384())), MESSAGE)


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    assert not verifies(data, data, data)
    is_plausible(data)


@given(st.binary(max_size=60))
def test_base64_round_trip(data: bytes) -> None:
    assert from_base64(to_base64(data)) == data


@given(st.text(max_size=40))
def test_base64_is_canonical_or_nothing(text: str) -> None:
    data = from_base64(text)
    assert data is None or base64.b64encode(data).decode() == text


@pytest.mark.parametrize(
    "bad", ["QQ", "QR==", "QQ==\n", " QQ==", "Q Q==", "-_==", "QQ===", "QQ==QQ==", "é", None, 7, b"QQ=="]
)
def test_base64_variants(bad: object) -> None:
    assert from_base64(bad) is None


def test_ranges_of_r_and_s() -> None:
    key = soft_key()
    r, s = decode_dss_signature(key.sign(MESSAGE))
    order = ORDERS["secp256r1"]
    assert verifies(key.spki, encode_dss_signature(r, s), MESSAGE)
    for bad in ((0, s), (r, 0), (r + order, s), (r, s + order), (order, s), (r, order), (0, 0)):
        assert not verifies(key.spki, encode_dss_signature(*bad), MESSAGE)
