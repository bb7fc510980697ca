import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hsm.encoding import algorithm_of, ec_spki, finished, rsa_spki, signature_from_der, signature_to_der, verifies
from hsm.mechanisms import ALGORITHMS, Scheme
from tests.worlds.softkey import PrivateKey, signature

P256, P384 = ALGORITHMS["ecdsa-p256"], ALGORITHMS["ecdsa-p384"]
EC_KEYS = {"ecdsa-p256": ec.generate_private_key(ec.SECP256R1()), "ecdsa-p384": ec.generate_private_key(ec.SECP384R1())}
RSA_KEY = rsa.generate_private_key(65537, 3072)


def spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@given(size=st.sampled_from([32, 48]), data=st.data())
def test_raw_and_der_are_two_forms_of_one_signature(size: int, data: st.DataObject) -> None:
    numbers = st.integers(min_value=1, max_value=256**size - 1)
    r, s = data.draw(numbers), data.draw(numbers)
    raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    der = signature_to_der(raw)
    assert decode_dss_signature(der) == (r, s)
    assert signature_from_der(der, size) == raw


@pytest.mark.parametrize("raw", [b"", b"\1", b"\1\2\3", bytes(64), bytes(32) + b"\1" * 32, b"\1" * 32 + bytes(32)])
def test_what_is_no_signature_gets_no_der(raw: bytes) -> None:
    with pytest.raises(ValueError, match="raw ECDSA"):
        signature_to_der(raw)


def test_a_der_signature_too_large_for_its_halves_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        signature_from_der(signature_to_der(b"\xff" * 96), 32)


@pytest.mark.parametrize("name", EC_KEYS)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_point_becomes_the_keys_spki(name: str, wrapped: bool) -> None:
    key = EC_KEYS[name].public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    given_point = bytes([4, len(point)]) + point if wrapped else point
    assert ec_spki(ALGORITHMS[name], given_point) == spki(key)


@pytest.mark.parametrize("point", [b"", b"\4" * 65, b"\4" * 67, b"\4\x41" + b"\4" * 65, b"\5" * 90])
def test_a_point_that_is_not_on_the_curve_is_refused(point: bytes) -> None:
    with pytest.raises(ValueError, match=r"point|curve|empty|Invalid EC key"):
        ec_spki(P256, point)


def test_a_modulus_becomes_the_keys_spki() -> None:
    numbers = RSA_KEY.public_key().public_numbers()
    modulus = numbers.n.to_bytes(384, "big")
    assert rsa_spki(modulus, b"\1\0\1") == spki(RSA_KEY.public_key())


def test_the_algorithm_of_a_public_key() -> None:
    assert algorithm_of(spki(EC_KEYS["ecdsa-p384"].public_key())) == "ecdsa-p384"
    assert algorithm_of(spki(RSA_KEY.public_key())) == "rsa-3072"
    assert algorithm_of(spki(ec.generate_private_key(ec.SECP521R1()).public_key())) is None
    assert algorithm_of(spki(ed25519.Ed25519PrivateKey.generate().public_key())) is None


def test_signatures_are_checked_with_sha256_whatever_the_curve() -> None:
    for key in EC_KEYS.values():
        signature = key.sign(b"message", ec.ECDSA(hashes.SHA256()))
        assert verifies(spki(key.public_key()), b"message", signature)
        assert not verifies(spki(key.public_key()), b"massage", signature)
        assert not verifies(spki(key.public_key()), b"message", key.sign(b"message", ec.ECDSA(hashes.SHA384())))
    signature = RSA_KEY.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    assert verifies(spki(RSA_KEY.public_key()), b"message", signature)
    assert not verifies(spki(EC_KEYS["ecdsa-p256"].public_key()), b"message", signature)
    assert not verifies(spki(ed25519.Ed25519PrivateKey.generate().public_key()), b"message", signature)


@given(flipped=st.integers(min_value=0, max_value=64 * 8 - 1))
def test_any_flipped_bit_is_noticed(flipped: int) -> None:
    key = EC_KEYS["ecdsa-p256"]
    raw = bytearray(signature_from_der(key.sign(b"m", ec.ECDSA(hashes.SHA256())), 32))
    raw[flipped // 8] ^= 1 << flipped % 8
    assert not verifies(spki(key.public_key()), b"m", finished(P256, bytes(raw)))


def test_what_is_no_public_key_verifies_nothing() -> None:
    for nonsense in (b"", b"nonsense", spki(RSA_KEY.public_key())[:-1]):
        assert not verifies(nonsense, b"m", b"s")


def test_a_signature_of_another_length_is_not_finished() -> None:
    assert finished(ALGORITHMS["rsa-3072"], b"\1" * 384) == b"\1" * 384
    for row, length in ((P256, 96), (P384, 64), (ALGORITHMS["rsa-4096"], 384)):
        with pytest.raises(ValueError, match=f"this one is {length}"):
            finished(row, b"\1" * length)


def test_each_scheme_verifies_its_own_signatures_only() -> None:
    keys: list[PrivateKey] = [*EC_KEYS.values(), RSA_KEY]
    pairs: list[tuple[Scheme, Scheme]] = [("pkix", "jose"), ("jose", "pkix")]
    for key in keys:
        for scheme, other in pairs:
            made = signature(key, b"message", scheme)
            assert verifies(spki(key.public_key()), b"message", made, scheme)
            assert not verifies(spki(key.public_key()), b"message", made, other)
            assert not verifies(spki(key.public_key()), b"massage", made, scheme)


def test_in_the_scheme_of_jose_r_and_s_stay_as_they_are_and_are_not_zero() -> None:
    assert finished(P256, b"\1" * 64, "jose") == b"\1" * 64
    for zero in (bytes(32) + b"\1" * 32, b"\1" * 32 + bytes(32)):
        with pytest.raises(ValueError, match="zero signs nothing"):
            finished(P256, zero, "jose")
        assert not verifies(spki(EC_KEYS["ecdsa-p256"].public_key()), b"m", zero, "jose")
