"""How a key verifies: a table read off the key itself, never off what is being verified."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

Key = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

RSA_BITS = (2048, 8192)  # below is forgeable, above is a way to keep us busy
# What a plain `cosign verify --key` accepts: these curves with SHA-256. The value is the order of the base point.
ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
NAMES = {"secp256r1": "P-256", "secp384r1": "P-384"}


def algorithm_of(spki: bytes) -> str:
    """Return the algorithm this key verifies with, such as `P-256/SHA-256`. Raises ValueError for any other key."""
    key = _key(spki)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}/PKCS1v15/SHA-256"
    return f"{NAMES[key.curve.name]}/SHA-256"


def verifies(spki: bytes, signature: bytes, message: bytes) -> bool:
    """True when the signature over these very bytes is this key's. A key we cannot use verifies nothing."""
    try:
        key = _key(spki)
    except ValueError:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if len(signature) != (key.key_size + 7) // 8:
                return False
            key.verify(signature, message, padding.PKCS1v15(), SHA256())
        else:
            if not _is_strict_der(signature, ORDERS[key.curve.name]):
                return False
            key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def is_plausible(signature: bytes) -> bool:
    """True when some key could have made these bytes: strict DER of (r, s), or the length of an RSA or Ed25519 one.

    Tells "signed by somebody we do not know" from "broken": for people only, nothing is trusted because of it.
    """
    if len(signature) == 64 or (256 <= len(signature) <= 1024 and len(signature) % 64 == 0):
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
    """Return the key. Raises ValueError unless it is one of the table, written in the one way we know it by."""
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
    # fingerprint is a hash of these bytes, so one key written in two ways would count as two.
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
