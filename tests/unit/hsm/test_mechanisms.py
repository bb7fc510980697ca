import hashlib

import pytest

from hsm.errors import MechanismMissing
from hsm.mechanisms import ALGORITHMS, algorithm_named, algorithm_with, servable, way_to_sign


def test_raw_mechanisms_get_a_hash_and_never_the_message() -> None:
    # Raw ECDSA cuts what is too long, so that two messages with the same first 32 bytes would share a signature.
    for row in ALGORITHMS.values():
        for way in (*row.ways("pkix"), *row.ways("jose")):
            prepared = way.prepare(b"x" * 32 + b"benign")
            assert (b"benign" in prepared) == (way.takes == "message")
            if way.takes != "message":
                assert prepared.endswith(hashlib.new(way.digest, b"x" * 32 + b"benign").digest())


def test_digest_info_is_the_one_of_rfc_8017() -> None:
    (way,) = (way for way in ALGORITHMS["rsa-3072"].pkix if way.takes == "digest-info")
    prepared = way.prepare(b"")
    assert len(prepared) == 51
    assert prepared[:2] == b"\x30\x31"


@pytest.mark.parametrize(
    ("algorithm", "listed", "chosen"),
    [
        ("ecdsa-p256", {"ECDSA", "ECDSA_SHA256"}, "ECDSA"),
        ("ecdsa-p384", {"ECDSA_SHA256"}, "ECDSA_SHA256"),
        ("rsa-3072", {"RSA_PKCS", "SHA256_RSA_PKCS"}, "SHA256_RSA_PKCS"),
        ("rsa-4096", {"RSA_PKCS"}, "RSA_PKCS"),
    ],
)
def test_the_first_way_that_is_listed_is_taken(algorithm: str, listed: set[str], chosen: str) -> None:
    assert way_to_sign(ALGORITHMS[algorithm], listed).mechanism == chosen


@pytest.mark.parametrize(
    ("algorithm", "listed", "chosen"),
    [
        ("ecdsa-p256", {"ECDSA"}, ("ECDSA", "SHA256", False)),
        ("ecdsa-p384", {"ECDSA"}, ("ECDSA", "SHA384", False)),
        ("ecdsa-p384", {"ECDSA_SHA384", "ECDSA_SHA256"}, ("ECDSA_SHA384", "SHA384", False)),
        ("rsa-3072", {"RSA_PKCS_PSS", "RSA_PKCS"}, ("RSA_PKCS_PSS", "SHA384", True)),
        ("rsa-4096", {"RSA_PKCS_PSS", "SHA512_RSA_PKCS_PSS"}, ("SHA512_RSA_PKCS_PSS", "SHA512", True)),
    ],
)
def test_in_the_scheme_of_jose_the_hash_follows_the_key(
    algorithm: str, listed: set[str], chosen: tuple[str, str, bool]
) -> None:
    way = way_to_sign(ALGORITHMS[algorithm], listed, "jose")
    assert (way.mechanism, way.digest, way.pss) == chosen
    assert way.salt == int(way.digest[3:]) // 8


def test_a_token_without_pss_cannot_sign_as_jose() -> None:
    with pytest.raises(MechanismMissing, match="rsa-3072 as JOSE wants it: it lists neither of SHA384_RSA_PKCS_PSS or"):
        way_to_sign(ALGORITHMS["rsa-3072"], {"RSA_PKCS", "SHA256_RSA_PKCS"}, "jose")


def test_a_token_that_cannot_says_what_it_would_need() -> None:
    with pytest.raises(MechanismMissing, match="ecdsa-p256: it lists neither of ECDSA or ECDSA_SHA256"):
        way_to_sign(ALGORITHMS["ecdsa-p256"], {"RSA_PKCS"})
    with pytest.raises(MechanismMissing, match=r"'dsa'.*choose one of ecdsa-p256"):
        algorithm_named("dsa")


def test_servable_needs_generation_and_signing() -> None:
    assert servable({"ECDSA"}) == ()
    assert servable({"ECDSA", "EC_KEY_PAIR_GEN", "RSA_PKCS"}) == ("ecdsa-p256", "ecdsa-p384")


def test_a_key_is_recognised_by_curve_or_length() -> None:
    assert algorithm_with(curve=ALGORITHMS["ecdsa-p384"].curve) == "ecdsa-p384"
    assert algorithm_with(curve=b"\6\1\1") is None
    assert algorithm_with(modulus=b"\x80" + bytes(383)) == "rsa-3072"
    assert algorithm_with(modulus=b"\x80" + bytes(255)) is None
    assert algorithm_with() is None
