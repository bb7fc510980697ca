"""Certificate revocation lists (RFC 5280 section 5): what configured lists say about a chain, and what they cannot.

Which list speaks for a certificate is decided by who signed it, never by where the certificate points to. A list that
is out of date, partial or signed by somebody else says nothing. That is "could not look", never "not revoked".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from proxy.formats.certificate import parse_certificate
from proxy.formats.chain import HASHES

_HEAD = b"-----BEGIN X509 CRL-----"
_UNDERSTOOD = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})


@dataclass(frozen=True)
class Revoked:
    """A certificate of the chain is on its issuer's list; `text` says which and since when."""

    text: str


@dataclass(frozen=True)
class NotKnown:
    """No list that is in force speaks for a certificate of the chain; `text` says for which, and why."""

    text: str


def parse_crl(data: bytes) -> bytes:
    """Return the list as DER, from DER or PEM. Raises ValueError unless it is wholly one list that says its end."""
    try:
        crl = x509.load_pem_x509_crl(data) if data.lstrip().startswith(_HEAD) else x509.load_der_x509_crl(data)
        _ = crl.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(f"not a certificate revocation list: {error}") from error
    if crl.next_update_utc is None:
        raise ValueError("the list does not say when the next one comes (nextUpdate), so it cannot be in force")
    return crl.public_bytes(Encoding.DER)


def next_update(crl: bytes) -> datetime:
    """Return until when a list of `parse_crl` is in force. Raises ValueError."""
    found = _loaded(crl).next_update_utc
    if found is None:
        raise ValueError("the list does not say when the next one comes (nextUpdate)")
    return found


def revocation(
    chain: Sequence[bytes], crls: Sequence[bytes], now: datetime, signed: datetime | None = None
) -> Revoked | NotKnown | None:
    """Return None where for each certificate but the root a list in force says it is not revoked.

    `chain` is DER, leaf to root, and satisfies `chain.problems`; `crls` come from `parse_crl`. `signed` is a moment
    that a timestamp authority proves the signature to be older than: only the key's theft (invalidityDate) after it
    leaves the signature good.
    """
    certificates = [parse_certificate(one) for one in chain]
    silent: NotKnown | None = None
    for certificate, issuer in pairwise(certificates):
        said = _one(certificate, issuer, crls, now, signed)
        if isinstance(said, Revoked):
            return said
        silent = silent or said
    return silent


def _one(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    crls: Sequence[bytes],
    now: datetime,
    signed: datetime | None,
) -> Revoked | NotKnown | None:
    name = ascii(certificate.subject.rfc4514_string()[:120])[1:-1]
    why = "no configured list is its issuer's"
    answered = False
    for der in crls:
        crl = _loaded(der)
        if crl.issuer != issuer.subject:
            continue
        if (wrong := _not_in_force(der, issuer.public_bytes(Encoding.DER), now)) is not None:
            why = wrong
        elif not _covers(crl, certificate):
            why = "its issuer's list is for other certificates"
        else:
            answered = True
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and not _after(entry, signed):
                return Revoked(
                    f"the certificate of {name} was revoked at {entry.revocation_date_utc:%Y-%m-%dT%H:%M:%SZ}"
                )
    return None if answered else NotKnown(f"whether the certificate of {name} is revoked could not be seen: {why}")


def _not_in_force(der: bytes, issuer: bytes, now: datetime) -> str | None:
    """Return why a list says nothing at this moment, None when it does."""
    crl = _loaded(der)
    if (wrong := _not_genuine(der, issuer)) is not None:
        return wrong
    if now < crl.last_update_utc:
        return f"its issuer's list begins at {crl.last_update_utc:%Y-%m-%dT%H:%M:%SZ}"
    if now > next_update(der):
        return f"its issuer's list ended at {next_update(der):%Y-%m-%dT%H:%M:%SZ}"
    return None


@lru_cache(maxsize=64)  # a pure function of the bytes; hashing a large list for every pull would be dear
def _not_genuine(der: bytes, issuer: bytes) -> str | None:
    crl, signer = _loaded(der), parse_certificate(issuer)
    try:
        usage = signer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.crl_sign:
        return "its issuer may not sign lists (keyUsage cRLSign)"
    key = signer.public_key()
    try:
        digest = crl.signature_hash_algorithm
        strong = digest is not None and digest.name in HASHES
        genuine = isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) and crl.is_signature_valid(key)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        strong = genuine = False
    if not (strong and genuine):
        return "the list in its issuer's name is not signed by it"
    # A delta list, or anything else critical that we do not read, may change what the rest means.
    if any(each.critical and each.oid not in _UNDERSTOOD for each in crl.extensions):
        return "its issuer's list has a critical extension that is not understood here"
    # Indirect lists carry other issuers' entries, marked by a critical extension of the entry.
    if any(e.critical and e.oid != CRLEntryExtensionOID.CRL_REASON for one in crl for e in one.extensions):
        return "its issuer's list has entries that are not understood here"
    return None


def _covers(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """True unless the list says of itself that it is about others (issuingDistributionPoint)."""
    try:
        about = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    if about.indirect_crl or about.only_some_reasons or about.only_contains_attribute_certs or about.relative_name:
        return False
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if (about.only_contains_ca_certs and not is_ca) or (about.only_contains_user_certs and is_ca):
        return False
    return about.full_name is None or not set(about.full_name).isdisjoint(_points(certificate))


def _points(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return set()
    return {name for point in found for name in point.full_name or ()}


def _after(entry: x509.RevokedCertificate, signed: datetime | None) -> bool:
    """True when the issuer says that the key was good until after a proven time of signing."""
    try:
        invalid = entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    except x509.ExtensionNotFound:
        return False
    return signed is not None and signed < invalid


@lru_cache(maxsize=64)
def _loaded(der: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_der_x509_crl(der)
    except ValueError as error:
        raise ValueError(f"not a certificate revocation list: {error}") from error
