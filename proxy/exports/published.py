"""Which keys of ours are published, and to whom their signatures may speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from proxy.oci.reference import Reference, Repository, is_digest
from proxy.trust.keys import VERIFYING, BookKey, KeyRing, fingerprint


@dataclass(frozen=True)
class Profile:
    """One key profile with the keys that count: active, trusted, and prepared ones before they sign.

    `attesting` profiles never vouch for an image: their keys are in none of the image verifiers' files.
    """

    name: str
    attesting: bool
    keys: tuple[BookKey, ...]


@dataclass(frozen=True)
class Scope:
    """Whose images: our public names (host[:port], canonical first), the public URL, and all repositories or one."""

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
        """An image as people type it, with words to be replaced where none was asked for."""
        joint = "@" if self.reference and is_digest(self.reference) else ":"
        return f"{self.hosts[0]}/{self.repository or 'REPOSITORY'}{joint}{self.reference or 'TAG'}"


def profiles_of(ring: KeyRing, attesting: Mapping[str, bool]) -> tuple[Profile, ...]:
    """Return every profile that is configured and has keys that count; `attesting` says of each what it is for.

    What was retired, compromised or destroyed is in none; neither is a profile that configuration no longer knows:
    nobody says any more what its keys may vouch for.
    """
    found = []
    for name in sorted(attesting):
        counting = [key for key in ring.ours if key.profile == name and key.state in VERIFYING]
        if counting:
            ordered = tuple(sorted(counting, key=lambda key: fingerprint(key.spki)))
            found.append(Profile(name, attesting[name], ordered))
    return tuple(found)


def pem(spki: bytes) -> str:
    """Return a DER SubjectPublicKeyInfo as PEM."""
    return load_der_public_key(spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def short(key: BookKey) -> str:
    """Return the beginning of the key's fingerprint, as people and file names call it."""
    return fingerprint(key.spki)[:12]
