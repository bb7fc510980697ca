"""The algorithm comes from the key; a signature is one exact string of bytes."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, Hash, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import algorithms
from proxy.formats.algorithms import (
    ORDERS,
    Signer,
    algorithm_of,
    counting,
    from_base64,
    is_plausible,
    signer_of,
    to_base64,
    verifies,
)
from proxy.trust.keys import Verifier
from tests.worlds.softkey import MAKERS, SoftKey, soft_key

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


def raw(der: bytes, size: int) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def ways(key: SoftKey) -> dict[str, bytes]:
    """Every way a key of this kind signs in, by what it is called where it does not count."""
    private, hashes = key.private, {"SHA-256": SHA256(), "SHA-384": SHA384(), "SHA-512": SHA512()}
    if isinstance(private, rsa.RSAPrivateKey):
        made = {name: private.sign(MESSAGE, padding.PKCS1v15(), h) for name, h in hashes.items()}
        for name, h in hashes.items():
            made[f"RSA-PSS and {name}"] = private.sign(MESSAGE, padding.PSS(padding.MGF1(h), h.digest_size), h)
        return made
    made = {name: private.sign(MESSAGE, ec.ECDSA(h)) for name, h in hashes.items()}
    size = private.key_size // 8
    return made | {f"{name} as r||s in place of DER": raw(der, size) for name, der in made.items()}


@pytest.mark.parametrize(
    ("kind", "counts", "bits"),
    [
        ("p256", {"SHA-256"}, 0),
        ("p384", {"SHA-256", "SHA-384"}, 0),
        ("rsa", {"SHA-256"}, 2048),
        ("rsa", {"SHA-256"}, 3072),
        ("rsa", {"SHA-256"}, 4096),
    ],
)
def test_what_kms_and_cosign_sign_was_called_a_strangers(kind: str, counts: set[str], bits: int) -> None:
    key = SoftKey(rsa.generate_private_key(65537, bits)) if bits else soft_key(kind)
    stranger = soft_key(kind)
    for name, signature in ways(key).items():
        found = signer_of([stranger.verifier, key.verifier], signature, MESSAGE)
        assert found == Signer(key.verifier, "" if name in counts else name), name
        assert verifies(key.spki, signature, MESSAGE) is (name in counts)
        assert signer_of([stranger.verifier], signature, MESSAGE) is None
        assert signer_of([key.verifier], signature, MESSAGE + b"!") is None
        assert is_plausible(signature)


@pytest.mark.parametrize("salt", [0, 20, padding.PSS.MAX_LENGTH])
def test_pss_is_named_whatever_its_salt(salt: int) -> None:
    key = soft_key("rsa")
    assert isinstance(key.private, rsa.RSAPrivateKey)
    signature = key.private.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256()), salt), SHA256())
    assert signer_of([key.verifier], signature, MESSAGE) == Signer(key.verifier, "RSA-PSS and SHA-256")


def test_a_key_it_counts_for_goes_before_one_it_does_not() -> None:
    key = soft_key("p384")
    again = replace(key.verifier, name="again")
    good = key.sign(MESSAGE)
    assert signer_of([Verifier("0" * 64, b"junk", "broken", "any", False), again], good, MESSAGE) == Signer(again)
    assert signer_of([], good, MESSAGE) is None


def test_a_message_is_hashed_once_for_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(kind: HashAlgorithm) -> Hash:
        made.append(kind.name)
        return Hash(kind)

    monkeypatch.setattr(algorithms, "Hash", counted)
    strangers = [soft_key(kind).verifier for kind in MAKERS for _ in range(4)]
    assert signer_of(strangers, soft_key("p384").sign(MESSAGE), MESSAGE) is None
    assert sorted(made) == ["sha256", "sha384", "sha512"]


def test_people_are_told_what_counts() -> None:
    assert [counting(soft_key(kind).spki) for kind in MAKERS] == [
        "P-256 with SHA-256",
        "P-384 with SHA-256 or SHA-384",
        "RSA PKCS#1 v1.5 with SHA-256",
    ]


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
