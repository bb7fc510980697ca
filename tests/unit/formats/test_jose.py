import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from proxy.formats.jose import ALGORITHMS, algorithm_for, otherwise, verifies
from tests.worlds.certificates import chain_of, rsa_key, trio
from tests.worlds.softkey import PrivateKey, signature

KEYS: dict[str, PrivateKey] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "PS256": rsa_key(2048),
    "PS384": rsa_key(3072),
    "PS512": rsa_key(4096),
}


@pytest.mark.parametrize("name", KEYS)
def test_each_key_has_one_algorithm_and_verifies_in_no_other_scheme(name: str) -> None:
    key = KEYS[name]
    assert algorithm_for(key.public_key()).name == name
    (leaf,) = chain_of(trio(key)[0])
    good = signature(key, b"message", "jose")
    assert verifies(leaf, good, b"message")
    assert not verifies(leaf, good, b"massage")
    for bad in (signature(key, b"message", "pkix"), good + b"\0", good[:-1], b"", bytes(len(good))):
        assert not verifies(leaf, bad, b"message")


@pytest.mark.parametrize("name", KEYS)
def test_what_a_key_made_with_the_hash_of_another_is_named_and_does_not_count(name: str) -> None:
    key = KEYS[name]
    (leaf,) = chain_of(trio(key)[0])
    for row in ALGORITHMS:
        if row.name[:2] != name[:2]:
            continue
        made = signed_as(key, row.digest)
        assert verifies(leaf, made, b"message") is (row.name == name)
        assert otherwise(leaf, made, b"message") == (None if row.name == name else row.name)
        assert otherwise(leaf, made, b"massage") is None


def signed_as(key: PrivateKey, digest: HashAlgorithm) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(b"message", padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    size = (key.key_size + 7) // 8
    halves = decode_dss_signature(key.sign(b"message", ec.ECDSA(digest)))
    return b"".join(half.to_bytes(size, "big") for half in halves)


def test_the_numbers_are_those_of_cose() -> None:
    assert {row.name: row.number for row in ALGORITHMS} == {
        "ES256": -7, "ES384": -35, "ES512": -36, "PS256": -37, "PS384": -38, "PS512": -39,
    }  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [rsa_key(1024), rsa_key(2056), ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey.generate()],
    ids=lambda key: type(key).__name__,
)
def test_other_keys_have_none(key: PrivateKey) -> None:
    with pytest.raises(ValueError, match="without a signature algorithm"):
        algorithm_for(key.public_key())
