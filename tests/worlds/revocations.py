"""Revocation lists in software: proper ones, and ones with a single thing wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.formats.certificate import parse_certificate
from tests.worlds.certificates import BEGIN, Extensions, Holder

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Entry:
    """One revoked certificate (DER)."""

    certificate: bytes
    at: datetime = BEGIN
    extensions: Extensions = ()

    def built(self) -> x509.RevokedCertificate:
        """The entry as it stands in a list."""
        builder = (
            x509.RevokedCertificateBuilder()
            .serial_number(parse_certificate(self.certificate).serial_number)
            .revocation_date(self.at)
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        return builder.build()


def crl(
    issuer: Holder,
    *entries: Entry,
    at: datetime = BEGIN,
    until: datetime | None = None,
    extensions: Extensions = (),
    signer: Holder | None = None,
) -> bytes:
    """The issuer's list (DER) as of `at`, in force for a week unless said otherwise."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(at)
        .next_update(at + WEEK if until is None else until)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(entry.built())
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign((signer or issuer).key, SHA256()).public_bytes(Encoding.DER)


def clean(holders: Sequence[Holder], at: datetime = BEGIN) -> tuple[bytes, ...]:
    """Lists of all who issue in this chain, with nobody on them."""
    return tuple(crl(holder, at=at) for holder in holders[1:])
