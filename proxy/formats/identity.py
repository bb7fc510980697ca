"""Certificate identities: subjects in the notation of Notary trust policies, and authorities that vouch for a chain.

`x509.subject: C=DE, ST=Berlin, O=Example` matches a leaf whose subject has each of these attributes with exactly this
value, whatever else it has (Notary Project, "Trusted identities").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from proxy.formats.certificate import parse_certificate
from proxy.trust.authority import ANYBODY, Authority, Subject

PREFIX = "x509.subject:"
_NAMES = {"S": NameOID.STATE_OR_PROVINCE_NAME, "E": NameOID.EMAIL_ADDRESS}  # besides those of RFC 4514
_GAP = re.compile(r"(?<!\\),\s+")


def parse_subject(text: str) -> Subject:
    """Return the identity in this text, `*` for any. Raises ValueError saying what is allowed."""
    if text.strip() == ANYBODY:
        return Subject(ANYBODY, frozenset())
    written = text.strip().removeprefix(PREFIX).strip()
    if "=#" in written:
        raise ValueError(_ALLOWED)
    try:
        name = x509.Name.from_rfc4514_string(_GAP.sub(",", written), _NAMES)
    except ValueError as error:
        raise ValueError(_ALLOWED) from error
    attributes = _attributes(name)
    if not attributes or not all(attributes.values()):
        raise ValueError(_ALLOWED)
    return Subject(written, frozenset(attributes.items()))


_ALLOWED = (
    "allowed: attributes of a subject, each once, such as `x509.subject: C=DE, ST=Berlin, O=Example`, "
    'or "*" for everybody the CA certifies'
)


def vouching(chain: Sequence[bytes], authorities: Iterable[Authority]) -> tuple[Authority, ...]:
    """Return the authorities that have a certificate in this chain and list its leaf's subject.

    The chain must satisfy `chain.problems` already. Raises ValueError for bytes that are not a certificate.
    """
    subject = _attributes(parse_certificate(chain[0]).subject)
    return tuple(a for a in authorities if not a.roots.isdisjoint(chain) and any(_is(subject, i) for i in a.identities))


def _is(subject: dict[str, str] | None, wanted: Subject) -> bool:
    if wanted.text == ANYBODY:
        return True
    return subject is not None and bool(wanted.attributes) and wanted.attributes <= subject.items()


def _attributes(name: x509.Name) -> dict[str, str] | None:
    """Return the attributes by object identifier; None if one is repeated or shares its part of the name."""
    found: dict[str, str] = {}
    for part in name.rdns:
        attributes = list(part)
        for attribute in attributes:
            oid, value = attribute.oid.dotted_string, attribute.value
            if len(attributes) > 1 or oid in found or not isinstance(value, str):
                return None
            found[oid] = value
    return found
