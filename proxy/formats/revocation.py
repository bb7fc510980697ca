"""Certificate revocation lists (RFC 5280 section 5): what configured lists say about the certificates of a chain.

The signer of a list decides which certificates it covers, never the URL in a certificate. A list that is out of date,
partial or signed by anyone else says nothing. That is "could not look", never "not revoked".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from proxy.formats.certificate import UNUSABLE, parse_certificate
from proxy.formats.chain import HASHES
from proxy.trust.revocation import Listed, Listing

ISSUERS = 64  # certificates of one CA that a list was checked against, and that are cached
_HEAD = b"-----BEGIN X509 CRL-----"
_UNDERSTOOD = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})


class Crl(bytes):
    """A list as DER. Its parsed data is kept with it and freed with it: large lists are replaced often."""

    @cached_property
    def loaded(self) -> x509.CertificateRevocationList:
        """Return the parsed list. Raises ValueError."""
        try:
            # a copy: the library keeps it in a reference cycle that is never freed
            return x509.load_der_x509_crl(bytes(self))
        except ValueError as error:
            raise ValueError(f"not a certificate revocation list: {error}") from error

    @cached_property
    def revoked(self) -> Mapping[int, tuple[datetime, datetime | None]] | None:
        """Return, by serial number, when each certificate was revoked, and since when its key is not to be trusted.

        None if an entry has something critical that is not understood: indirect lists mark other issuers' entries so.
        For a list of many megabytes this takes seconds, once: call it where no request waits, before it is needed.
        """
        found: dict[int, tuple[datetime, datetime | None]] = {}
        for entry in self.loaded:
            if any(each.critical and each.oid != CRLEntryExtensionOID.CRL_REASON for each in entry.extensions):
                return None
            found.setdefault(entry.serial_number, (entry.revocation_date_utc, _invalid(entry)))
        return found

    @cached_property
    def _wrong(self) -> dict[bytes, str | None]:
        return {}

    def not_genuine(self, issuer: bytes) -> str | None:
        """Return why this is not the list of this CA (DER), whose name it has, or None if it is."""
        if issuer not in self._wrong:
            if len(self._wrong) >= ISSUERS:
                self._wrong.clear()
            self._wrong[issuer] = _not_genuine(self, issuer)
        return self._wrong[issuer]


def parse_crl(data: bytes) -> Crl:
    """Return the list as DER, from DER or PEM. Raises ValueError unless it is exactly one list that states its end."""
    try:
        crl = x509.load_pem_x509_crl(data) if data.lstrip().startswith(_HEAD) else x509.load_der_x509_crl(data)
        _ = (crl.issuer, crl.extensions, crl.last_update_utc)
    except UNUSABLE as error:
        raise ValueError(f"not a certificate revocation list: {error}") from error
    if crl.next_update_utc is None:
        raise ValueError("the list does not say when the next one comes (nextUpdate), so it cannot be in force")
    return Crl(crl.public_bytes(Encoding.DER))


def last_update(crl: bytes) -> datetime:
    """Return since when a list of `parse_crl` is in force. Raises ValueError."""
    return _crl(crl).loaded.last_update_utc


def next_update(crl: bytes) -> datetime:
    """Return until when a list of `parse_crl` is in force. Raises ValueError."""
    found = _crl(crl).loaded.next_update_utc
    if found is None:
        raise ValueError("the list does not say when the next one comes (nextUpdate)")
    return found


def forged(crl: bytes, issuers: Iterable[bytes]) -> str | None:
    """Return why a list in the name of one of these CAs (DER) is forged; None also if no CA has that name."""
    ours = _crl(crl)
    name = ours.loaded.issuer
    said = [ours.not_genuine(der) for der in issuers if parse_certificate(der).subject == name]
    return said[0] if said and None not in said else None


def listed(chain: Sequence[bytes], crls: Sequence[bytes]) -> tuple[Listed, ...]:
    """Return what genuine lists among `crls` (of `parse_crl`) say of each certificate but the root.

    `chain` is DER, leaf to root, and satisfies `chain.problems`. Raises ValueError for bytes that are not a
    certificate.
    """
    certificates = [parse_certificate(one) for one in chain]
    known = [_crl(crl) for crl in crls]
    return tuple(_listed(certificate, issuer, known) for certificate, issuer in pairwise(certificates))


def _crl(der: bytes) -> Crl:
    return der if isinstance(der, Crl) else Crl(der)


def _listed(certificate: x509.Certificate, issuer: x509.Certificate, crls: Sequence[Crl]) -> Listed:
    name = ascii(certificate.subject.rfc4514_string()[:120])[1:-1]
    why, found = "no configured list is its issuer's", []
    for crl in crls:
        if crl.loaded.issuer != issuer.subject:
            continue
        if (wrong := crl.not_genuine(issuer.public_bytes(Encoding.DER))) is not None:
            why = wrong
        elif not _covers(crl.loaded, certificate):
            why = "its issuer's list is for other certificates"
        else:
            found.append(_listing(crl, certificate))
    return Listed(name, tuple(found), "" if found else why)


def _listing(crl: Crl, certificate: x509.Certificate) -> Listing:
    first, last = last_update(crl), next_update(crl)
    entry = (crl.revoked or {}).get(certificate.serial_number)
    return Listing(first, last) if entry is None else Listing(first, last, *entry)


def _not_genuine(der: Crl, issuer: bytes) -> str | None:
    crl, signer = der.loaded, parse_certificate(issuer)
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
    # A delta list, or any other critical extension that we do not read, may change the meaning of the rest.
    if any(each.critical and each.oid not in _UNDERSTOOD for each in crl.extensions):
        return "its issuer's list has a critical extension that is not understood here"
    if der.revoked is None:
        return "its issuer's list has entries that are not understood here"
    return None


def _covers(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """True unless the list states that it covers others (issuingDistributionPoint)."""
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


def _invalid(entry: x509.RevokedCertificate) -> datetime | None:
    """Return since when, by the issuer's statement, the key is not to be trusted; None without a statement."""
    try:
        return entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    except x509.ExtensionNotFound:
        return None
