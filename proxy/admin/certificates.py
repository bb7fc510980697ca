"""Authenticate admin API callers by client certificate: match its subject and names with the configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509

from proxy.admin.ports import Known
from proxy.trust.actor import Actor
from proxy.trust.roles import Permission, permitted

_HOW = "client-cert:"


def known_by(certificate: bytes, people: Iterable[Known], now: datetime) -> Actor | None:
    """Return the holder of this certificate (DER, verified against admin.client_ca in the handshake), or None.

    The handshake may be long ago, so an expired certificate is refused here. If several people match, the result is
    None: the intended one cannot be determined.
    """
    try:
        shown = x509.load_der_x509_certificate(certificate)
        says = frozenset(_says(shown))
    except ValueError:
        return None
    if not shown.not_valid_before_utc <= now < shown.not_valid_after_utc:
        return None
    found = [person for person in people if _wanted(person.match) in says]
    if len(found) != 1:
        return None
    how = f"{_HOW}{hashlib.sha256(certificate).hexdigest()[:16]}"
    return Actor(found[0].name, how, roles=found[0].roles, scope=found[0].repositories)


def may_ask(actor: Actor, permission: Permission, people: Iterable[Known]) -> bool:
    """False if a certificate was used whose holder is unknown or lacks the permission in the current configuration."""
    if not actor.authenticated_by.startswith(_HOW):
        return True
    return any(p.name == actor.name and not p.repositories and permitted(p.roles, permission) for p in people)


def _says(shown: x509.Certificate) -> Iterable[tuple[str, object]]:
    """Yield the subject and the alternative names."""
    yield "subject", shown.subject
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for kind, of in (("dns", x509.DNSName), ("email", x509.RFC822Name), ("uri", x509.UniformResourceIdentifier)):
        for name in names.get_values_for_type(of):
            yield kind, name


def _wanted(match: str) -> tuple[str, object]:
    kind, _, value = match.partition(":")
    return kind, x509.Name.from_rfc4514_string(value) if kind == "subject" else value
