"""Requests and certificates by a key that is elsewhere; with a real token in tests/contract/test_token_keys.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.certificates import _held, check_csr, check_self_signed, make_csr, make_self_signed, name_of
from tests.worlds.softkey import SoftKey, soft_key

SUBJECT = "CN=release,O=Example,ST=BE,C=DE"
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["p256", "p384", "rsa"])
def key(request: pytest.FixtureRequest) -> SoftKey:
    return soft_key(request.param)


def test_a_request_is_for_the_key_and_by_it(key: SoftKey) -> None:
    der = make_csr(key.spki, key.sign, SUBJECT)
    check_csr(der, key.spki, SUBJECT)
    asked = x509.load_der_x509_csr(der).extensions.get_extension_for_class(x509.KeyUsage)
    assert asked.critical
    assert asked.value.digital_signature
    with pytest.raises(ValueError, match="another key"):
        check_csr(der, soft_key().spki, SUBJECT)
    with pytest.raises(ValueError, match="another subject"):
        check_csr(der, key.spki, "CN=other")


def test_a_self_signed_certificate_is_a_leaf_that_signs_and_nothing_else(key: SoftKey) -> None:
    der = make_self_signed(key.spki, key.sign, SUBJECT, START, END)
    check_self_signed(der, key.spki, SUBJECT)
    made = x509.load_der_x509_certificate(der)
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (START, END)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert not usage.value.key_cert_sign
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    with pytest.raises(ValueError, match="of another key"):
        check_self_signed(der, soft_key().spki, SUBJECT)
    with pytest.raises(ValueError, match="another subject"):
        check_self_signed(der, key.spki, "CN=other")


def test_what_another_key_signed_is_found_out(key: SoftKey) -> None:
    other = soft_key("rsa" if "rsa" in type(key.private).__name__.lower() else "p256")
    with pytest.raises(ValueError, match="does not verify"):
        check_csr(make_csr(key.spki, other.sign, SUBJECT), key.spki, SUBJECT)
    with pytest.raises(ValueError, match="does not verify"):
        check_self_signed(make_self_signed(key.spki, other.sign, SUBJECT, START, END), key.spki, SUBJECT)


def test_the_key_only_signs(key: SoftKey) -> None:
    held = _held(key.spki, key.sign)
    for secret in (held.private_bytes, held.private_numbers):
        with pytest.raises(ValueError, match="is in its token, and only signs"):
            secret()  # whatever it is given


def test_other_keys_and_names_that_are_none_are_refused() -> None:
    edwards = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="keys of this kind"):
        make_csr(edwards, bytes, SUBJECT)
    for nothing in ("", "release", "CN"):
        with pytest.raises(ValueError):  # noqa: PT011  the library's own words
            name_of(nothing)
