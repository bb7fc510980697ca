"""The algorithms a key verifies with: read from the key itself, never from the data being verified."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from proxy.trust.keys import Verifier

Key = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

RSA_BITS = (2048, 8192)  # a smaller key can be forged, a larger one costs too much time
# The curves of keys we can use. The value is the order of the base point.
ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
NAMES = {"secp256r1": "P-256", "secp384r1": "P-384"}
_HASHES = {"SHA-256": SHA256(), "SHA-384": SHA384(), "SHA-512": SHA512()}
# What counts: SHA-256, as every cosign writes it, and the hash that matches the curve, as cosign 2.6 and cloud KMS use
# it (ADR 0040). All other pairs of a key and a hash are only named.
_COUNTS = {"secp256r1": ("SHA-256",), "secp384r1": ("SHA-256", "SHA-384")}
_RSA_COUNTS = ("SHA-256",)


@dataclass(frozen=True)
class Signer:
    """The key that made a signature. `otherwise` is the algorithm if it is one that does not count, else empty."""

    key: Verifier
    otherwise: str = ""


class Signed:
    """Bytes that may have been signed. Each hash of them is computed once, however many keys are tried."""

    def __init__(self, data: bytes) -> None:
        """Nothing is hashed yet."""
        self._data = data
        self._digests: dict[str, bytes] = {}

    def digest(self, name: str) -> bytes:
        """Return the hash of that name."""
        if name not in self._digests:
            one = Hash(_HASHES[name])
            one.update(self._data)
            self._digests[name] = one.finalize()
        return self._digests[name]


def signer_of(keys: Sequence[Verifier], signature: bytes, message: bytes) -> Signer | None:
    """Return who signed exactly these bytes: the first key whose signature counts, else one whose does not.

    The algorithms to try depend only on each key's kind, at most six of them; the signature has no say. None if no key
    made it in any of these ways; a `Signer` does not yet mean that the signature counts.
    """
    signed = Signed(message)
    for key in keys:
        if _counts(key.spki, signature, signed):
            return Signer(key)
    for key in keys:
        if (name := next(_otherwise(key.spki, signature, signed), None)) is not None:
            return Signer(key, name)
    return None


def counting(spki: bytes) -> str:
    """Return the algorithms that count for this key, for people. Raises ValueError for keys we cannot use."""
    key = _key(spki)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA PKCS#1 v1.5 with {' or '.join(_RSA_COUNTS)}"
    return f"{NAMES[key.curve.name]} with {' or '.join(_COUNTS[key.curve.name])}"


def algorithm_of(spki: bytes) -> str:
    """Return the algorithm this key verifies with, such as `P-256/SHA-256`. Raises ValueError for any other key."""
    key = _key(spki)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}/PKCS1v15/SHA-256"
    return f"{NAMES[key.curve.name]}/SHA-256"


def verifies(spki: bytes, signature: bytes, message: bytes) -> bool:
    """True when this key made the signature over exactly these bytes, in an algorithm that counts.

    A key we cannot use verifies nothing.
    """
    return _counts(spki, signature, Signed(message))


def _counts(spki: bytes, signature: bytes, signed: Signed) -> bool:
    try:
        key = _key(spki)
    except ValueError:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return _has_length(key, signature) and any(_is_pkcs1(key, signature, signed, h) for h in _RSA_COUNTS)
    if not _is_strict_der(signature, ORDERS[key.curve.name]):
        return False
    return any(_is_ecdsa(key, signature, signed, h) for h in _COUNTS[key.curve.name])


def _otherwise(spki: bytes, signature: bytes, signed: Signed) -> Iterator[str]:
    """Yield each algorithm that does not count in which this key did make the signature."""
    try:
        key = _key(spki)
    except ValueError:
        return
    if isinstance(key, rsa.RSAPublicKey):
        if _has_length(key, signature):
            yield from (h for h in _HASHES if h not in _RSA_COUNTS and _is_pkcs1(key, signature, signed, h))
            yield from (f"RSA-PSS and {h}" for h in _HASHES if _is_pss(key, signature, signed, h))
        return
    order = ORDERS[key.curve.name]
    if _is_strict_der(signature, order):
        others = (h for h in _HASHES if h not in _COUNTS[key.curve.name])
        yield from (h for h in others if _is_ecdsa(key, signature, signed, h))
    half = key.key_size // 8
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    if len(signature) == 2 * half and 0 < r < order and 0 < s < order:
        der = encode_dss_signature(r, s)
        yield from (f"{h} as r||s in place of DER" for h in _HASHES if _is_ecdsa(key, der, signed, h))


def _has_length(key: rsa.RSAPublicKey, signature: bytes) -> bool:
    return len(signature) == (key.key_size + 7) // 8


def _is_ecdsa(key: ec.EllipticCurvePublicKey, der: bytes, signed: Signed, name: str) -> bool:
    try:
        key.verify(der, signed.digest(name), ec.ECDSA(Prehashed(_HASHES[name])))
    except InvalidSignature:
        return False
    return True


def _is_pkcs1(key: rsa.RSAPublicKey, signature: bytes, signed: Signed, name: str) -> bool:
    try:
        key.verify(signature, signed.digest(name), padding.PKCS1v15(), Prehashed(_HASHES[name]))
    except InvalidSignature:
        return False
    return True


def _is_pss(key: rsa.RSAPublicKey, signature: bytes, signed: Signed, name: str) -> bool:
    # the salt's length does not identify the signer
    scheme = padding.PSS(padding.MGF1(_HASHES[name]), padding.PSS.AUTO)
    try:
        key.verify(signature, signed.digest(name), scheme, Prehashed(_HASHES[name]))
    except InvalidSignature:
        return False
    return True


def is_plausible(signature: bytes) -> bool:
    """True when some key could have made these bytes: strict DER of (r, s), r||s, or the length of an RSA one.

    Distinguishes "signed by an unknown key" from "broken", for people only; no trust depends on it.
    """
    if len(signature) in {64, 96, 132} or (256 <= len(signature) <= 1024 and len(signature) % 64 == 0):
        return True
    return _is_strict_der(signature, 1 << 528)


def from_base64(text: object) -> bytes | None:
    """Return the bytes, or None unless this is a string of canonical standard base64 (RFC 4648 section 3.5)."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def to_base64(data: bytes) -> str:
    """Return canonical standard base64, with padding."""
    return base64.b64encode(data).decode()


@lru_cache(maxsize=256)  # a pure function of the bytes; loading costs as much as verifying
def _key(spki: bytes) -> Key:
    """Return the key. Raises ValueError unless it is in the table, in its one accepted encoding."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"not a public key we can use: {error}") from error
    if isinstance(key, rsa.RSAPublicKey):
        if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
            raise ValueError(f"RSA key of {key.key_size} bits; allowed are {RSA_BITS[0]} to {RSA_BITS[1]}")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in ORDERS:
            raise ValueError(f"curve {key.curve.name}; allowed are P-256 and P-384")
    else:
        raise ValueError(f"{type(key).__name__}; allowed are P-256, P-384 and RSA")
    # Explicit curve parameters, compressed points, RSA-PSS identifiers and trailing bytes all differ here. The
    # fingerprint is a hash of these bytes, so one key in two encodings would count as two.
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise ValueError("SubjectPublicKeyInfo is not in its canonical form (named curve, uncompressed point)")
    return key


def _is_strict_der(signature: bytes, order: int) -> bool:
    """True when these bytes are the one DER encoding of (r, s), both at least 1 and below the order."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    return 0 < r < order and 0 < s < order and encode_dss_signature(r, s) == signature
