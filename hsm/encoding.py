"""Conversion from the tokens' encodings to standard ones, and signature checks in software. Pure.

Tokens return r||s, raw EC points and bare moduli; verifiers need ASN.1 DER (RFC 3279) and SubjectPublicKeyInfo (RFC
5280, section 4.1.2.7).
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from hsm.mechanisms import ALGORITHMS, Algorithm, Scheme

# The hash that JOSE pairs with a key, by its bits (RFC 7518, sections 3.4 and 3.5; Notary Project for RSA).
_JOSE: dict[int, hashes.HashAlgorithm] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    3072: hashes.SHA384(),
    4096: hashes.SHA512(),
}
_CURVES: dict[str, ec.EllipticCurve] = {"ecdsa-p256": ec.SECP256R1(), "ecdsa-p384": ec.SECP384R1()}


def signature_to_der(raw: bytes) -> bytes:
    """Return the DER form of a raw ECDSA signature r||s (PKCS#11 v2.40, 2.3.1).

    Raises ValueError on odd or zero halves.
    """
    half = len(raw) // 2
    if not raw or len(raw) % 2:
        raise ValueError(f"a raw ECDSA signature has two halves of equal length, this one is {len(raw)} bytes")
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    if not r or not s:
        raise ValueError("a raw ECDSA signature with r or s zero signs nothing")
    return encode_dss_signature(r, s)


def signature_from_der(der: bytes, size: int) -> bytes:
    """Return the raw form r||s of a DER signature, each half `size` bytes long. Raises ValueError if it is too long."""
    r, s = decode_dss_signature(der)
    try:
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except OverflowError:
        raise ValueError(f"the signature does not fit in two halves of {size} bytes") from None


def ec_spki(algorithm: Algorithm, point: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a CKA_EC_POINT, whether the token wraps it in an OCTET STRING or not."""
    curve = _CURVES[algorithm.name]
    size = 1 + 2 * (algorithm.bits // 8)
    if len(point) > size:  # DER OCTET STRING, as the specification requires; both sizes have one-byte lengths
        if point[0] != 0x04 or point[1] != len(point) - 2:
            raise ValueError("the EC point is neither bare nor wrapped in an OCTET STRING")
        point = point[2:]
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def rsa_spki(modulus: bytes, exponent: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of CKA_MODULUS and CKA_PUBLIC_EXPONENT (big-endian)."""
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spki_of(algorithm: Algorithm, point: bytes, modulus: bytes, exponent: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a token's public key of this algorithm. Raises ValueError if it is invalid."""
    return ec_spki(algorithm, point) if algorithm.family == "ec" else rsa_spki(modulus, exponent)


def algorithm_of(spki: bytes) -> str | None:
    """Return the name of the algorithm of this public key, or None if we do not support it.

    Raises ValueError when the bytes are not a SubjectPublicKeyInfo.
    """
    key = load_der_public_key(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return next((name for name, curve in _CURVES.items() if curve.name == key.curve.name), None)
    if isinstance(key, rsa.RSAPublicKey):
        return next((a.name for a in ALGORITHMS.values() if a.family == "rsa" and a.bits == key.key_size), None)
    return None


def finished(algorithm: Algorithm, raw: bytes, scheme: Scheme = "pkix") -> bytes:
    """Return the signature in this scheme's encoding. Raises ValueError on a wrong length, or r or s zero."""
    if len(raw) != algorithm.signature_length:
        raise ValueError(f"{algorithm.name} signatures are {algorithm.signature_length} bytes, this one is {len(raw)}")
    if algorithm.family == "rsa":
        return raw
    der = signature_to_der(raw)
    return der if scheme == "pkix" else raw


def verifies(spki: bytes, message: bytes, signature: bytes, scheme: Scheme = "pkix") -> bool:
    """True when this public key verifies the finished signature over the message, in this scheme and no other.

    False for bytes that are not a public key.
    """
    try:
        key = load_der_public_key(spki)
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            return False
        digest = hashes.SHA256() if scheme == "pkix" else _JOSE[key.key_size]
        if isinstance(key, ec.EllipticCurvePublicKey):
            if scheme == "jose":
                if len(signature) != key.key_size // 4:
                    return False
                signature = signature_to_der(signature)
            key.verify(signature, message, ec.ECDSA(digest))
        elif scheme == "pkix":
            key.verify(signature, message, padding.PKCS1v15(), digest)
        else:
            key.verify(signature, message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError):
        return False
    return True
