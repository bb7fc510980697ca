"""The types of setting values. Each checker returns the value or raises ValueError with the allowed values."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from proxy.oci.duration import parse_span, span_text
from proxy.oci.faults import ConfigError
from proxy.trust.pattern import check_pattern
from proxy.trust.schedule import parse_overlap

MINIMUM_RSA_BITS = 2048
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_.*-]{1,128}", re.ASCII)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name has 1 to 63 letters, digits, '.', '_' or '-', and begins with a letter or digit")
    return text


def _line(text: str) -> str:
    if not text.strip() or len(text) > 200 or not text.isprintable():
        raise ValueError("allowed: one line of 1 to 200 printable characters")
    return text


def _short(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}", text, re.ASCII):
        raise ValueError("allowed: 1 to 32 ASCII letters, digits, spaces, '.', '_' or '-'")
    return text


_LISTEN = (
    'allowed: HOST:PORT, such as 127.0.0.1:5000, 0.0.0.0:5000, "[::1]:5000", or ":5000" for IPv4 and IPv6 together'
)


def split_address(text: str) -> tuple[str, int]:
    """Return host (without brackets) and port. Raises ValueError.

    `:PORT`, `*:PORT` and `[::]:PORT` all mean the host `::`, every IPv4 and IPv6 address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(_LISTEN)
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if host in {"", "*"}:
        return "::", int(port)
    if not _HOST.fullmatch(host):
        raise ValueError(_LISTEN)
    return host, int(port)


def _address(text: str) -> str:
    split_address(text)
    return text


def _origin(text: str) -> str:
    """Return the origin: scheme, host and port. A user or password would end up in logs, a path would be ignored."""
    allowed = "allowed: http:// or https://, a host and perhaps a port, nothing after it"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if "@" in text:
        raise ValueError("allowed: a URL without user or password (use `credentials`)")
    host = parts.hostname or ""
    fine = bool(_HOST.fullmatch(host)) or (":" in host and "[" in parts.netloc)
    if parts.scheme not in {"http", "https"} or not fine or port == 0 or parts.path not in {"", "/"}:
        raise ValueError(allowed)
    if parts.query or parts.fragment or text != text.strip() or "?" in text or "#" in text:
        raise ValueError(allowed)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _link(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("allowed: a whole http:// or https:// URL")
    if len(text) > 200 or "@" in parts.netloc:
        raise ValueError("allowed: a URL of at most 200 characters, without user or password")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("allowed: an address or network, such as 10.0.0.7 or 10.0.0.0/8") from None


def _tag_pattern(text: str) -> str:
    if not _TAG.fullmatch(text) or "**" in text:
        raise ValueError("allowed: a tag, with * for any characters")
    return text


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text, re.ASCII):
        raise ValueError("allowed: the name of an environment variable")
    return text


def base_of(info: ValidationInfo) -> Path:
    """Return the directory that relative paths start from: that of the configuration file."""
    return Path((info.context or {}).get("base", ".")).absolute()


def _path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value or "\0" in value or "\n" in value:
        raise ValueError("allowed: a path, relative ones from the directory of this file")
    return base_of(info) / value


def _existing(value: Path) -> Path:
    if not value.is_file():
        raise ValueError(f"allowed: a file that exists ({value} does not)")
    return value


def _store_url(text: str, info: ValidationInfo) -> str:
    """Return the URL with SQLite paths made absolute; other URLs are passed to SQLAlchemy unchanged."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "postgresql" and rest:
        return text
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return f"sqlite:///{base_of(info) / rest[1:]}"
    raise ValueError("allowed: sqlite:///FILE (relative to this file) or postgresql://HOST/DATABASE")


def _moment(value: object) -> object:
    """Return the time; a date means its first moment in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("allowed: a date or time, such as 2027-01-31 or 2027-01-31T08:00:00Z") from None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _spki(value: object, info: ValidationInfo) -> object:
    """Return the DER of the public key in PEM text, given inline or as a file."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if not isinstance(value, str):
        return value
    where = "the text" if "-----BEGIN" in value else str(base_of(info) / value)
    try:
        pem = value.encode() if "-----BEGIN" in value else (base_of(info) / value).read_bytes()
    except (OSError, ValueError):
        raise ValueError(f"allowed: PEM text, or a PEM file that can be read ({where} cannot)") from None
    if b"PRIVATE KEY" in pem:
        raise ValueError("allowed: a public key; this is a private one, and does not belong here")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"allowed: a public key in PEM (-----BEGIN PUBLIC KEY-----); {where} holds none") from None
    curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in {"secp256r1", "secp384r1"}
    if not curve and not (isinstance(key, rsa.RSAPublicKey) and key.key_size >= MINIMUM_RSA_BITS):
        raise ValueError(f"allowed: ECDSA keys on P-256 or P-384, RSA keys of at least {MINIMUM_RSA_BITS} bits")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def command_line(checker: Callable[[str], str], text: str, option: str) -> str:
    """Return an option's value after the checks of the setting. Raises ConfigError naming the option."""
    try:
        return checker(text)
    except ValueError as error:
        raise ConfigError(f"{option}: found {text[:80]!a}; {error}") from None


check_address, check_line, check_link, check_origin = _address, _line, _link, _origin

_Text = WithJsonSchema({"type": "string"})
Name = Annotated[str, AfterValidator(_name)]
Line = Annotated[str, AfterValidator(_line)]
Short = Annotated[str, AfterValidator(_short)]
Address = Annotated[str, AfterValidator(_address)]
Origin = Annotated[str, AfterValidator(_origin)]
Link = Annotated[str, AfterValidator(_link)]
Network = Annotated[str, AfterValidator(_network)]
Pattern = Annotated[str, AfterValidator(check_pattern)]
TagPattern = Annotated[str, AfterValidator(_tag_pattern)]
Variable = Annotated[str, AfterValidator(_variable)]
FilePath = Annotated[Path, BeforeValidator(_path), _Text]
ExistingFile = Annotated[Path, BeforeValidator(_path), AfterValidator(_existing), _Text]
StoreUrl = Annotated[str, AfterValidator(_store_url)]


def _span(value: object) -> object:
    return parse_span(value) if isinstance(value, str) else value


def _overlap(text: str) -> str:
    parse_overlap(text)
    return text


Span = Annotated[
    timedelta, BeforeValidator(_span), PlainSerializer(span_text, return_type=str), WithJsonSchema({"type": "string"})
]
Overlap = Annotated[str, AfterValidator(_overlap)]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string"})]


def in_base64(value: Any) -> str:
    """Return bytes in the base64 form of a configuration text."""
    return base64.b64encode(value).decode()


PublicKey = Annotated[bytes, BeforeValidator(_spki), PlainSerializer(in_base64), _Text]
