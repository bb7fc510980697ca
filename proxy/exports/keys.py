"""Public keys in standard formats: PEM (RFC 7468) and a JSON Web Key set (RFC 7517)."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from proxy.exports.published import Profile, Scope
from proxy.formats.certificate import pem
from proxy.trust.keys import fingerprint


def as_pem(profile: Profile, _scope: Scope) -> str:
    """Return every key of the profile, one PEM block after the other."""
    return "".join(pem(key.spki) for key in profile.keys)


def as_jwks(profile: Profile, _scope: Scope) -> str:
    """Return the set. `kid` is our fingerprint; `alg` is left out if JOSE has no name for the key's algorithm."""
    return json.dumps({"keys": [_jwk(key.spki) for key in profile.keys]}, indent=2) + "\n"


def _jwk(spki: bytes) -> dict[str, object]:
    key = load_der_public_key(spki)
    known: dict[str, object] = {"kid": fingerprint(spki), "use": "sig", "key_ops": ["verify"]}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _uint(numbers.n), "e": _uint(numbers.e), "alg": "RS256", **known}
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError(f"a key of ours is a {type(key).__name__}")
    size, point = (key.key_size + 7) // 8, key.public_numbers()
    names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
    jwk: dict[str, object] = {
        "kty": "EC",
        "crv": names[key.curve.name],
        "x": _uint(point.x, size),
        "y": _uint(point.y, size),
        **known,
    }
    # JOSE binds P-384 to SHA-384; image signatures by such a key use SHA-256.
    return {**jwk, "alg": "ES256"} if key.curve.name == "secp256r1" else jwk


def _uint(number: int, size: int | None = None) -> str:
    """Return a Base64urlUInt (RFC 7518 section 2), or a coordinate of full size (section 6.2.1.2)."""
    data = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
