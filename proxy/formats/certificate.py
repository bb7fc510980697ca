"""Strict and complete parsing of X.509 certificates; trust is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

CERTIFICATE_BYTES = 64 * 1024
USUAL = 8 * 1024  # longer ones are not cached
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", re.ASCII)
# The library's errors for bytes it reads lazily; TypeError: an attribute of a name has a wrong type.
UNUSABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


def parse_certificate(der: bytes) -> x509.Certificate:
    """Return the certificate. Raises ValueError unless the bytes are exactly one X.509 v3 certificate with a key."""
    return (_remembered if len(der) <= USUAL else _parsed)(der)


def _parsed(der: bytes) -> x509.Certificate:
    if len(der) > CERTIFICATE_BYTES:
        raise ValueError(f"a certificate of {len(der)} bytes; at most {CERTIFICATE_BYTES} are read")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        _ = certificate.extensions  # parsed only now; a repeated extension is refused
        _ = (certificate.subject, certificate.issuer)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except UNUSABLE as error:
        raise ValueError(f"not a certificate that can be used: {error}") from error
    # Explicit curve parameters and compressed points parse like the usual form, but are other bytes.
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) not in certificate.tbs_certificate_bytes:
        raise ValueError("its key is not in the usual form (named curve, uncompressed point)")
    if certificate.version is not x509.Version.v3 or certificate.public_bytes(Encoding.DER) != der:
        raise ValueError("not an X.509 v3 certificate in DER")
    return certificate


_remembered = lru_cache(maxsize=512)(_parsed)  # a pure function of the bytes; 8 MiB at most


def from_pem(text: bytes) -> tuple[bytes, ...]:
    """Return every certificate of a PEM text as DER, in order. Raises ValueError when there is none."""
    found = _PEM.findall(text)
    if not found or text.count(b"-----BEGIN ") != len(found):
        raise ValueError("not PEM of certificates alone: -----BEGIN CERTIFICATE----- ... -----END CERTIFICATE-----")
    ders = []
    for block in found:
        try:
            ders.append(x509.load_pem_x509_certificate(block).public_bytes(Encoding.DER))
        except ValueError as error:
            raise ValueError(f"not a certificate: {error}") from error
    return tuple(ders)


def pem(spki: bytes) -> str:
    """Return a DER SubjectPublicKeyInfo as PEM."""
    return load_der_public_key(spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def spki_of(der: bytes) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a certificate's key. Raises ValueError."""
    return parse_certificate(der).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def window(chain: Sequence[bytes]) -> tuple[datetime, datetime]:
    """Return the period in which every certificate of a chain is valid, both ends inclusive. Raises ValueError."""
    certificates = [parse_certificate(der) for der in chain]
    return max(c.not_valid_before_utc for c in certificates), min(c.not_valid_after_utc for c in certificates)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True when the issuer's key signed the certificate and the names match."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
