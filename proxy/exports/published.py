"""Our published keys, the images they are for, and the keys in standard formats: PEM (RFC 7468), JWK (RFC 7517)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from proxy.formats.certificate import pem
from proxy.oci.reference import Reference, Repository, is_digest
from proxy.trust.keys import VERIFYING, BookKey, KeyRing, fingerprint


@dataclass(frozen=True)
class Profile:
    """One key profile with its published keys: active, trusted, and prepared ones before they sign.

    `attesting` profiles never vouch for an image: their keys are not in the files for image verifiers.
    """

    name: str
    attesting: bool
    keys: tuple[BookKey, ...]


@dataclass(frozen=True)
class Scope:
    """The images concerned: our public names (host[:port], canonical first), public URL, all repositories or one."""

    hosts: tuple[str, ...]
    url: str
    repository: Repository | None = None
    reference: Reference | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """HOST or HOST/REPOSITORY, under each of our names."""
        return tuple(f"{host}/{self.repository}" if self.repository else host for host in self.hosts)

    @property
    def image(self) -> str:
        """An image reference as typed, with placeholders for a repository or tag that was not requested."""
        joint = "@" if self.reference and is_digest(self.reference) else ":"
        return f"{self.hosts[0]}/{self.repository or 'REPOSITORY'}{joint}{self.reference or 'TAG'}"


def profiles_of(ring: KeyRing, attesting: Mapping[str, bool]) -> tuple[Profile, ...]:
    """Return every configured profile that has published keys, those for images first; `attesting` gives the purpose.

    Retired, compromised and destroyed keys are left out; so are profiles missing from the configuration, because
    nothing then says what their keys may vouch for.
    """
    found = []
    for name in sorted(attesting, key=lambda name: (attesting[name], name)):
        counting = [key for key in ring.ours if key.profile == name and key.state in VERIFYING]
        if counting:
            ordered = tuple(sorted(counting, key=lambda key: key.fingerprint))
            found.append(Profile(name, attesting[name], ordered))
    return tuple(found)


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
