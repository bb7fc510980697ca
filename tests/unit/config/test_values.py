"""The kinds of value: what is taken, and what is refused with the allowed form."""

import ipaddress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from proxy.config import values
from proxy.trust import pattern
from proxy.trust.keys import TrustedKey
from tests.unit.config.test_settings import MINIMAL, parse, problems

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def pem(key: PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def der(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("[::1]:0", ("::1", 0)),
        ("proxy.internal:443", ("proxy.internal", 443)),
        ("0.0.0.0:5000", ("0.0.0.0", 5000)),  # noqa: S104
        *((every, ("::", 5000)) for every in (":5000", "*:5000", "[::]:5000", "[0::0]:5000")),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert values.split_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "5000",
        ":",
        "**:5000",
        "[]:5000",
        "[*]:5000",
        ":::5000",
        "host:",
        "host:70000",
        "host:\u0663",
        "::1:5000",
        "[host]:1",
        "",
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises((ValueError, ipaddress.AddressValueError)):
        values.split_address(text)


@pytest.mark.parametrize("url", ["https://registry.example.com", "http://127.0.0.1:5000/", "https://[::1]:8443"])
def test_origins(url: str) -> None:
    assert values.check_origin(url) == url.rstrip("/")


BAD_ORIGINS = """registry ftp://a https://a/b https://a?b https://a#b https://u@a https://a:b https:// https://a:0"""


@pytest.mark.parametrize("url", [*BAD_ORIGINS.split(), "https://a b", "https://a\n"])
def test_origins_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        values.check_origin(url)


@pytest.mark.parametrize("name", ["**", "prod/**", "*/app-*", "a/**/z"])
def test_patterns(name: str) -> None:
    assert pattern.check_pattern(name) == name


@pytest.mark.parametrize("name", ["", "Prod", "a//b", "a**", "/a", "a/", "a?", "[a]", "a:b", "**/" * 9 + "a"])
def test_patterns_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        pattern.check_pattern(name)


def trust(public_key: str) -> str:
    return f"{MINIMAL}trust:\n  partner:\n    public_key: {public_key}\n"


def inline(text: str) -> str:
    return "|\n" + "".join(f"      {line}\n" for line in text.splitlines())


def test_trusted_keys_come_inline_or_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    (tmp_path / "partner.pub").write_text(pem(key))
    for text in (trust("partner.pub"), trust(inline(pem(key)))):
        [trusted] = parse(text, str(tmp_path)).trust
        assert trusted == TrustedKey("partner", der(key), "any")


def test_keys_we_cannot_judge_are_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - to see it refused
    for key in (weak, ed25519.Ed25519PrivateKey.generate().public_key()):
        [said] = problems(trust(inline(pem(key))))
        assert "allowed: ECDSA keys on P-256 or P-384, RSA keys of at least 2048 bits" in said


@pytest.mark.parametrize("text", ["missing.pub", '"-----BEGIN PUBLIC KEY-----\\nnonsense\\n-----END PUBLIC KEY-----"'])
def test_what_is_no_public_key(text: str) -> None:
    assert "trust.partner.public_key" in problems(trust(text))[0]


def test_store_urls() -> None:
    assert parse(MINIMAL + "store: {url: 'sqlite:///a.db'}", "/d").store.url == "sqlite:////d/a.db"
    assert parse(MINIMAL + "store: {url: 'sqlite:////x/a.db'}", "/d").store.url == "sqlite:////x/a.db"
    assert "allowed: sqlite:///FILE" in problems(MINIMAL + "store: {url: 'sqlite://'}")[0]


def test_files_that_must_be_there() -> None:
    text = MINIMAL.replace("server:", "server:\n  tls: {cert: no.pem, key: no.key}")
    assert "allowed: a file that exists (/etc/countersign/no.pem does not)" in problems(text)[0]
