"""The supported algorithms, and the PKCS#11 mechanism for each of them on a given token.

Tokens differ in what they list: many have only raw ECDSA, or RSA_PKCS without the hash-combined form. The first way in
a row that the slot lists is used. Pure tables; mechanism names are those of the PKCS#11 specification without CKM_.

The same key signs in two schemes, because different verifiers require them:
- `pkix`: always over SHA-256; ECDSA as DER (RFC 3279), RSA as PKCS#1 v1.5.
- `jose`: the hash follows the key (RFC 7518, RFC 9053); ECDSA as r||s, RSA as PSS with a salt as long as the hash.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from hsm.errors import MechanismMissing

Scheme = Literal["pkix", "jose"]
# DER of the DigestInfo up to the digest itself, for SHA-256 (RFC 8017, section 9.2, note 1).
_SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True)
class Way:
    """One mechanism, and the input it takes."""

    mechanism: str
    takes: Literal["digest", "digest-info", "message"]
    digest: Literal["SHA256", "SHA384", "SHA512"] = "SHA256"
    pss: bool = False

    @property
    def salt(self) -> int:
        """Return the bytes of a PSS salt: as long as the hash."""
        return hashlib.new(self.digest).digest_size

    def prepare(self, message: bytes) -> bytes:
        """Return the input of C_Sign. Raw mechanisms sign anything, so the hash is always computed here."""
        if self.takes == "message":
            return message
        digest = hashlib.new(self.digest, message).digest()
        return digest if self.takes == "digest" else _SHA256_DIGEST_INFO + digest


@dataclass(frozen=True)
class Algorithm:
    """One row of the table: a kind of key, and how it signs in each scheme."""

    name: str
    family: Literal["ec", "rsa"]
    bits: int
    curve: bytes  # DER of the curve's object identifier (CKA_EC_PARAMS); empty for RSA
    generation: str
    pkix: tuple[Way, ...]
    jose: tuple[Way, ...]

    def ways(self, scheme: Scheme) -> tuple[Way, ...]:
        """Return every way to sign in this scheme, the preferred one first."""
        return self.pkix if scheme == "pkix" else self.jose

    @property
    def signature_length(self) -> int:
        """Return the length of C_Sign's result in bytes: r||s for ECDSA, the modulus length for RSA."""
        return self.bits // 4 if self.family == "ec" else self.bits // 8


_EC_WAYS = (Way("ECDSA", "digest"), Way("ECDSA_SHA256", "message"))
_EC384_WAYS = (Way("ECDSA", "digest", "SHA384"), Way("ECDSA_SHA384", "message", "SHA384"))
_RSA_WAYS = (Way("SHA256_RSA_PKCS", "message"), Way("RSA_PKCS", "digest-info"))
_PSS384_WAYS = (
    Way("SHA384_RSA_PKCS_PSS", "message", "SHA384", pss=True),
    Way("RSA_PKCS_PSS", "digest", "SHA384", pss=True),
)
_PSS512_WAYS = (
    Way("SHA512_RSA_PKCS_PSS", "message", "SHA512", pss=True),
    Way("RSA_PKCS_PSS", "digest", "SHA512", pss=True),
)
_P256 = bytes.fromhex("06082a8648ce3d030107")
_P384 = bytes.fromhex("06052b81040022")

ALGORITHMS: dict[str, Algorithm] = {
    row.name: row
    for row in (
        Algorithm("ecdsa-p256", "ec", 256, _P256, "EC_KEY_PAIR_GEN", _EC_WAYS, _EC_WAYS),
        Algorithm("ecdsa-p384", "ec", 384, _P384, "EC_KEY_PAIR_GEN", _EC_WAYS, _EC384_WAYS),
        Algorithm("rsa-3072", "rsa", 3072, b"", "RSA_PKCS_KEY_PAIR_GEN", _RSA_WAYS, _PSS384_WAYS),
        Algorithm("rsa-4096", "rsa", 4096, b"", "RSA_PKCS_KEY_PAIR_GEN", _RSA_WAYS, _PSS512_WAYS),
    )
}


def algorithm_with(*, curve: bytes = b"", modulus: bytes = b"") -> str | None:
    """Return the name of the row with this CKA_EC_PARAMS or a modulus of this length, or None."""
    if curve:
        return next((row.name for row in ALGORITHMS.values() if row.curve == curve), None)
    bits = int.from_bytes(modulus, "big").bit_length()
    return next((row.name for row in ALGORITHMS.values() if row.family == "rsa" and row.bits == bits), None)


def algorithm_named(name: str) -> Algorithm:
    """Return the row of that name. Raises MechanismMissing naming the existing rows."""
    try:
        return ALGORITHMS[name]
    except KeyError:
        raise MechanismMissing(f"algorithm {name!r} is not known; choose one of {', '.join(ALGORITHMS)}") from None


def way_to_sign(algorithm: Algorithm, listed: Collection[str], scheme: Scheme = "pkix") -> Way:
    """Return the way this token signs with that algorithm. Raises MechanismMissing naming what the token lacks."""
    for way in algorithm.ways(scheme):
        if way.mechanism in listed:
            return way
    wanted = " or ".join(way.mechanism for way in algorithm.ways(scheme))
    form = "" if scheme == "pkix" else f" as {scheme.upper()} wants it"
    raise MechanismMissing(f"the token cannot sign with {algorithm.name}{form}: it lists neither of {wanted}")


def servable(listed: Collection[str]) -> tuple[str, ...]:
    """Return the names of the algorithms that a token with these mechanisms can both generate and sign with."""
    return tuple(
        row.name
        for row in ALGORITHMS.values()
        if row.generation in listed and any(way.mechanism in listed for way in row.pkix)
    )
