from datetime import UTC, datetime

import pytest

from proxy.formats.certificate import CERTIFICATE_BYTES, from_pem, issued_by, parse_certificate, spki_of, window
from tests.worlds.certificates import BEGIN, END, chain_of, pem, trio
from tests.worlds.softkey import soft_key

KEY = soft_key()
CHAIN = chain_of(*trio(KEY.private))


def test_pem_comes_back_in_its_order_and_prose_around_it_is_nothing() -> None:
    assert from_pem(b"subject=CN = x\n" + pem(CHAIN).encode()) == CHAIN


@pytest.mark.parametrize("text", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", CHAIN[0]])
def test_what_is_no_pem_of_certificates_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        from_pem(text)


def test_a_private_key_beside_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="certificates alone"):
        from_pem(pem(CHAIN).encode() + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


@pytest.mark.parametrize("der", [b"", CHAIN[0][:-1], CHAIN[0] + b"\0", bytes(CERTIFICATE_BYTES + 1)])
def test_bytes_that_are_not_wholly_a_certificate_are_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        parse_certificate(der)


def test_a_name_of_a_kind_that_has_no_place_there_is_refused() -> None:
    country = b"\x06\x03\x55\x04\x06"
    assert country + b"\x13\x02DE" in CHAIN[0]
    with pytest.raises(ValueError, match="BitString"):
        parse_certificate(CHAIN[0].replace(country + b"\x13\x02DE", country + b"\x03\x02DE"))


def test_the_key_and_the_common_window_of_a_chain() -> None:
    assert spki_of(CHAIN[0]) == KEY.spki
    assert window(CHAIN) == (BEGIN, END)
    assert window(CHAIN[2:])[1] > datetime(2036, 1, 1, tzinfo=UTC)


def test_who_issued_what() -> None:
    leaf, middle, root = (parse_certificate(der) for der in CHAIN)
    assert issued_by(leaf, middle)
    assert issued_by(root, root)
    assert not issued_by(leaf, root)
