"""A trust store and trustpolicy.json for notation (Notary Project, "Trust Store and Trust Policy")."""

from __future__ import annotations

import json

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from proxy.exports.published import Profile, Scope

# The attributes notation requires in an identity, and those it allows in addition, by notation's names.
_NEEDED = {NameOID.COUNTRY_NAME: "C", NameOID.STATE_OR_PROVINCE_NAME: "ST", NameOID.ORGANIZATION_NAME: "O"}
_WORDS = {**_NEEDED, NameOID.ORGANIZATIONAL_UNIT_NAME: "OU", NameOID.COMMON_NAME: "CN"}


def store_of(profile: Profile) -> str:
    """Return the name of the trust store that the policy references."""
    return f"countersign-{profile.name}"


def certified(profile: Profile) -> bool:
    """True if notation can use this profile: some key has a chain whose leaf has the required attributes."""
    return bool(_identities(profile))


def trust_store(profile: Profile, _scope: Scope) -> str:
    """Return the root of every chain as PEM, the input of `notation cert add --type ca`."""
    roots = dict.fromkeys(chain[-1] for chain in _chains(profile))
    return "".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode() for der in roots)


def trust_policy(profile: Profile, scope: Scope) -> str:
    """Return a policy that trusts exactly the subjects of our certificates, not the others that their CA certifies.

    Notation has no repository patterns: the policy covers one repository under each of our names, or all.
    """
    policy = {
        "name": store_of(profile),
        "registryScopes": list(scope.places) if scope.repository else ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": [f"ca:{store_of(profile)}"],
        "trustedIdentities": [f"x509.subject: {identity}" for identity in _identities(profile)],
    }
    return json.dumps({"version": "1.0", "trustPolicies": [policy]}, indent=2) + "\n"


def _chains(profile: Profile) -> list[tuple[bytes, ...]]:
    return [key.chain for key in profile.keys if key.chain and _subject(key.chain[0]) is not None]


def _identities(profile: Profile) -> list[str]:
    """Return each leaf's subject once; notation would refuse a policy in which one subject is part of another."""
    subjects = {said for chain in _chains(profile) if (said := _subject(chain[0])) is not None}
    return sorted(", ".join(f"{k}={v}" for k, v in s) for s in subjects if not any(set(o) < set(s) for o in subjects))


def _subject(leaf: bytes) -> tuple[tuple[str, str], ...] | None:
    """Return the leaf's identifying attributes, escaped (RFC 4514 section 2.4), or None without C, ST and O."""
    found: dict[str, str] = {}
    for attribute in x509.load_der_x509_certificate(leaf).subject:
        word = _WORDS.get(attribute.oid)
        if word is None:
            continue
        if word in found or not isinstance(attribute.value, str):
            return None
        found[word] = x509.Name([attribute]).rfc4514_string().partition("=")[2]
    return tuple(found.items()) if set(_NEEDED.values()) <= found.keys() else None
