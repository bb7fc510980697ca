"""Certificate chains of image signatures: the requirements each must satisfy.

The rules are those of the Notary Project ("Certificate requirements" of its signature specification) and of RFC 5280
where that is stricter. Each is one row of a table that says what is wrong and how to fix it; an uploaded chain and a
foreign signature are checked against the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from proxy.formats.certificate import issued_by, parse_certificate

CERTIFICATES = 8  # in one chain; the longest seen in practice has five
LEAF_RSA_BITS = frozenset({2048, 3072, 4096})  # those with a defined signature algorithm
RSA_BITS = (2048, 8192)
# of an RSA key; CAs use 65537, and an exponent as long as the modulus makes verifying as slow as signing
EXPONENT_BITS = 64
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
HASHES = frozenset({"sha256", "sha384", "sha512"})
BARRED = {
    Eku.SERVER_AUTH: "serverAuth",
    Eku.CLIENT_AUTH: "clientAuth",
    Eku.EMAIL_PROTECTION: "emailProtection",
    Eku.TIME_STAMPING: "timeStamping",
    Eku.OCSP_SIGNING: "OCSPSigning",
}
# Critical extensions that are checked here, or whose meaning cannot change the result (policies: none is required).
UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
_E = TypeVar("_E", bound=x509.ExtensionType)


@dataclass(frozen=True)
class ChainPosition:
    """One certificate at its position in a chain: 0 is the leaf, the last is the root, which may also be the leaf."""

    chain: tuple[x509.Certificate, ...]
    at: int

    @property
    def certificate(self) -> x509.Certificate:
        """Return the certificate at this position."""
        return self.chain[self.at]

    @property
    def is_leaf(self) -> bool:
        """True for the certificate whose key signs images."""
        return self.at == 0

    @property
    def is_root(self) -> bool:
        """True for the last certificate."""
        return self.at == len(self.chain) - 1

    @property
    def is_authority(self) -> bool:
        """True for certificates that issue others: all but the leaf."""
        return self.at > 0

    def __str__(self) -> str:
        """Return its name for people: position and subject, safe to show."""
        kind = "leaf" if self.is_leaf else "root" if self.is_root else f"intermediate {self.at}"
        return f"{kind} ({ascii(self.certificate.subject.rfc4514_string()[:120])[1:-1]})"


@dataclass(frozen=True)
class Rule:
    """One requirement. `broken` is called for each certificate; `says` completes "the leaf (CN=...) ..."."""

    name: str
    says: str
    mend: str
    broken: Callable[[ChainPosition], bool]


@dataclass(frozen=True)
class ChainProblem:
    """One rule that one certificate breaks; `text` says which, what is wrong and how to fix it."""

    rule: str
    text: str

    def __str__(self) -> str:
        """Return the text."""
        return self.text


def problems(chain: Sequence[bytes], at: datetime | None = None) -> tuple[ChainProblem, ...]:
    """Return every rule this chain (DER, leaf to root) breaks, none when it may sign images.

    With `at` its certificates must be valid at that time; without it, their dates are ignored.
    """
    if not 1 <= len(chain) <= CERTIFICATES:
        return (
            ChainProblem("length", f"a chain of {len(chain)} certificates; give 1 to {CERTIFICATES}, leaf to root"),
        )
    try:
        certificates = tuple(parse_certificate(der) for der in chain)
    except ValueError as error:
        return (ChainProblem("encoding", f"{error}; give each certificate as DER or PEM, as its CA issued it"),)
    places = [ChainPosition(certificates, number) for number in range(len(certificates))]
    if weak := _broken(places, RULES[:1]):  # signatures are never verified with such keys: some make that expensive
        return weak
    found = _broken(places, RULES[1:])
    return (*found, *(problem for place in places for problem in _dates(place, at)))


def _broken(places: Sequence[ChainPosition], rules: Sequence[Rule]) -> tuple[ChainProblem, ...]:
    said = [(place, rule) for place in places for rule in rules if rule.broken(place)]
    return tuple(ChainProblem(rule.name, f"{place} {rule.says}; {rule.mend}") for place, rule in said)


def _dates(place: ChainPosition, at: datetime | None) -> tuple[ChainProblem, ...]:
    if at is None:
        return ()
    first, last = place.certificate.not_valid_before_utc, place.certificate.not_valid_after_utc
    if at < first:
        text = f"{place} is not valid before {first:%Y-%m-%dT%H:%M:%SZ}; wait until then, or mend the clock"
        return (ChainProblem("not-yet-valid", text),)
    if at > last:
        return (ChainProblem("expired", f"{place} expired at {last:%Y-%m-%dT%H:%M:%SZ}; have it issued anew"),)
    return ()


def _extension(place: ChainPosition, kind: type[_E]) -> x509.Extension[_E] | None:
    try:
        return place.certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def usable(key: object) -> bool:
    """True for a public key allowed in a chain: signatures are verified with no other."""
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        small = exponent % 2 == 1 and exponent > 1 and exponent.bit_length() <= EXPONENT_BITS
        return small and RSA_BITS[0] <= key.key_size <= RSA_BITS[1]
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES


def _is_weak(place: ChainPosition) -> bool:
    key = place.certificate.public_key()
    unfit = place.is_leaf and isinstance(key, rsa.RSAPublicKey) and key.key_size not in LEAF_RSA_BITS
    return unfit or not usable(key)


def _is_weakly_hashed(place: ChainPosition) -> bool:
    """True for SHA-1 and MD5, and for algorithms that no verifier of image signatures supports."""
    if place.certificate.signature_algorithm_oid in (SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448):
        return True
    try:
        digest = place.certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return True
    return digest is None or digest.name not in HASHES


def _is_misplaced(place: ChainPosition) -> bool:
    return not place.is_root and not issued_by(place.certificate, place.chain[place.at + 1])


def _is_early_root(place: ChainPosition) -> bool:
    return not place.is_root and issued_by(place.certificate, place.certificate)


def _is_no_root(place: ChainPosition) -> bool:
    return place.is_root and not issued_by(place.certificate, place.certificate)


def _is_no_authority(place: ChainPosition) -> bool:
    found = _extension(place, x509.BasicConstraints)
    return place.is_authority and not (found is not None and found.critical and found.value.ca)


def _cannot_issue(place: ChainPosition) -> bool:
    found = _extension(place, x509.KeyUsage)
    return place.is_authority and not (found is not None and found.critical and found.value.key_cert_sign)


def _is_too_deep(place: ChainPosition) -> bool:
    found = _extension(place, x509.BasicConstraints)
    below = place.at - 1  # authorities between it and the leaf
    return place.is_authority and found is not None and found.value.path_length is not None and (
        found.value.path_length < below
    )  # fmt: skip


def _is_authority_as_leaf(place: ChainPosition) -> bool:
    found = _extension(place, x509.BasicConstraints)
    return place.is_leaf and found is not None and found.value.ca


def _has_wrong_usage(place: ChainPosition) -> bool:
    if not place.is_leaf:
        return False
    found = _extension(place, x509.KeyUsage)
    if found is None or not found.critical or not found.value.digital_signature:
        return True
    usage = found.value
    # contentCommitment is omitted on purpose: the specification forbids the others, and notation accepts it.
    others = (usage.key_encipherment, usage.data_encipherment, usage.key_agreement, usage.key_cert_sign, usage.crl_sign)
    return any(others)


def _has_barred_purpose(place: ChainPosition) -> bool:
    found = _extension(place, x509.ExtendedKeyUsage)
    return place.is_leaf and found is not None and any(purpose in BARRED for purpose in found.value)


def _is_not_understood(place: ChainPosition) -> bool:
    return any(e.critical and e.oid not in UNDERSTOOD for e in place.certificate.extensions)


RULES: tuple[Rule, ...] = (
    Rule("weak-key", "has a key that may not sign here",
         "use P-256, P-384, P-521 or RSA of 2048, 3072 or 4096 bits (2048 to 8192 for a CA) with exponent 65537",
         _is_weak),
    Rule("weak-hash", "is signed with a weak or unusual algorithm",
         "have it issued with ECDSA or RSA over SHA-256, SHA-384 or SHA-512", _is_weakly_hashed),
    Rule("early-root", "is self-signed and others follow it",
         "a chain ends with its first self-signed certificate; leave out what follows", _is_early_root),
    Rule("order", "is not issued by the certificate after it",
         "order them leaf, intermediates, root, each issued by the next, with none left out", _is_misplaced),
    Rule("no-root", "is the last one and not self-signed", "add the certificates up to the root CA's own", _is_no_root),
    Rule("not-a-ca", "issues others and is no CA",
         "it needs critical basic constraints with CA true", _is_no_authority),
    Rule("ca-usage", "issues others and may not", "it needs a critical key usage with keyCertSign", _cannot_issue),
    Rule("path-length", "allows fewer CAs below it than there are",
         "issue the leaf further up, or the CA anew with a larger path length", _is_too_deep),
    Rule("leaf-is-a-ca", "is a CA itself", "sign with a certificate whose basic constraints say CA false, or has none",
         _is_authority_as_leaf),
    Rule("leaf-usage", "is not for digital signatures alone",
         "it needs a critical key usage with digitalSignature and nothing else", _has_wrong_usage),
    Rule("leaf-purpose", f"is for another purpose ({' or '.join(BARRED.values())})",
         "leave the extended key usage out, or make it codeSigning", _has_barred_purpose),
    Rule("critical-extension", "has a critical extension that is not understood here",
         "have it issued without, or with the extension not critical", _is_not_understood),
)  # fmt: skip
