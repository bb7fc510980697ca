"""Checks the TLS files of the configuration: finds unusable ones and names the file and the reason."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.config.schema import Tls
from proxy.config.settings import Settings

_SHOWN = 40  # characters shown of an invalid line


class Unusable(ValueError):
    """A file that TLS cannot use; the text names the file and the reason."""


def check_pair(certificate: Path, key: Path) -> x509.Certificate:
    """Return the certificate that a listener or client presents. Raises Unusable."""
    chain = certificates_in(certificate)
    data = _read(key)
    try:
        private = load_pem_private_key(data, None)
    except TypeError:
        raise Unusable(
            f"{key}: the private key has a passphrase; give one without, readable by this user only"
        ) from None
    except ValueError:
        raise Unusable(f"{key}: no PEM private key in it ({_begins(data)})") from None
    if private.public_key() != chain[0].public_key():
        raise Unusable(f"{key}: this key does not belong to the certificate in {certificate}")
    try:  # OpenSSL's further checks: weak keys, the order of certificates
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as wrong:
        raise Unusable(f"{certificate}: OpenSSL does not load it: {wrong}") from None
    return chain[0]


def problems(settings: Settings, now: datetime) -> Iterator[str]:
    """Yield each TLS setting that cannot be used now: its name, the file and the reason."""
    pairs = [(f"{name}.tls", tls.cert, tls.key) for name, tls in _listeners(settings)]
    if (own := settings.upstream.client_cert) is not None:
        pairs.append(("upstreams[0].client_cert", own, own))
    for name, certificate, key in pairs:
        try:
            found = check_pair(certificate, key)
        except Unusable as wrong:
            yield f"{name}: {wrong}"
        else:
            if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
                yield f"{name}: {certificate}: {_outside(found, now)}; renew it, then reload"
    outbound = settings.file.outbound
    authorities = [
        ("admin.client_ca", settings.admin.client_ca),
        ("upstreams[0].ca_file", settings.upstream.ca_file),
        ("outbound.ca_file", None if outbound is None else outbound.ca_file),
    ]
    for name, file in authorities:
        if file is not None:
            try:
                certificates_in(file)
            except Unusable as wrong:
                yield f"{name}: {wrong}"


def _listeners(settings: Settings) -> Iterator[tuple[str, Tls]]:
    for name, entry in (("server", settings.server.tls), ("admin", settings.admin.tls)):
        if entry is not None:
            yield name, entry


def _outside(certificate: x509.Certificate, now: datetime) -> str:
    if now < certificate.not_valid_before_utc:
        return f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"


def certificates_in(file: Path) -> tuple[x509.Certificate, ...]:
    """Return every certificate in this file, at least one. Raises Unusable."""
    data = _read(file)
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        raise Unusable(f"{file}: no PEM certificate in it ({_begins(data)})") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unusable(f"{file}: cannot be read ({error.strerror}); check the path and its owner") from None


def _begins(data: bytes) -> str:
    """Return the first line for a message, unless it could be part of a secret."""
    first = data.partition(b"\n")[0].decode("utf-8", "replace").strip()
    if not first:
        return "it is empty" if not data.strip() else "line 1 is empty"
    return f"line 1: {first[:_SHOWN]!a}" if first.startswith("-----") else "line 1 is no PEM header"
