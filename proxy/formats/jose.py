"""JOSE and COSE signatures: algorithms read from the key, never from the data being verified.

ECDSA is r||s, each as long as the order; RSA is PSS with MGF1 of the same hash and a salt as long as the hash (RFC 7518
section 3, RFC 9053 section 2). The Notary Project defines which hash matches which key ("Algorithm Selection").
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from proxy.formats.certificate import parse_certificate

_SHA = {256: SHA256(), 384: SHA384(), 512: SHA512()}


@dataclass(frozen=True)
class Algorithm:
    """One row: its JOSE name, its COSE number, and its hash."""

    name: str
    number: int
    bits: int

    @property
    def digest(self) -> HashAlgorithm:
        """The hash."""
        return _SHA[self.bits]


_EC = {
    "secp256r1": Algorithm("ES256", -7, 256),
    "secp384r1": Algorithm("ES384", -35, 384),
    "secp521r1": Algorithm("ES512", -36, 512),
}
_RSA = {
    2048: Algorithm("PS256", -37, 256),
    3072: Algorithm("PS384", -38, 384),
    4096: Algorithm("PS512", -39, 512),
}
ALGORITHMS = (*_EC.values(), *_RSA.values())


def algorithm_for(key: object) -> Algorithm:
    """Return the one algorithm this public key signs with. Raises ValueError for keys that have none."""
    row = None
    if isinstance(key, ec.EllipticCurvePublicKey):
        row = _EC.get(key.curve.name)
    elif isinstance(key, rsa.RSAPublicKey):
        row = _RSA.get(key.key_size)
    if row is None:
        raise ValueError("a key without a signature algorithm; allowed are P-256, P-384, P-521, RSA 2048, 3072, 4096")
    return row


def verifies(certificate: bytes, signature: bytes, message: bytes) -> bool:
    """True when the key of this certificate (DER) made the signature over exactly these bytes, in its algorithm."""
    try:
        key = parse_certificate(certificate).public_key()
        return _made(key, algorithm_for(key), signature, message)
    except ValueError:
        return False


def otherwise(certificate: bytes, signature: bytes, message: bytes) -> str | None:
    """Return the other algorithm in which this certificate's key did make the signature, or None.

    For people only: no such signature counts.
    """
    try:
        key = parse_certificate(certificate).public_key()
        own = algorithm_for(key)
    except ValueError:
        return None
    rows = _RSA if isinstance(key, rsa.RSAPublicKey) else _EC
    return next((r.name for r in rows.values() if r is not own and _made(key, r, signature, message)), None)


def _made(key: object, row: Algorithm, signature: bytes, message: bytes) -> bool:
    """True when this key made the signature with the hash of this row."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if len(signature) != key.key_size // 8:
                return False
            key.verify(signature, message, padding.PSS(padding.MGF1(row.digest), row.digest.digest_size), row.digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            half = (key.key_size + 7) // 8
            r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            if len(signature) != 2 * half or not r or not s:
                return False
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(row.digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True
