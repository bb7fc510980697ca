"""Selects our published keys, and the purpose for which verifiers may accept them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.oci.reference import Reference, Repository, is_digest
from proxy.trust.keys import VERIFYING, BookKey, KeyRing


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
    """Return every configured profile that has published keys; `attesting` gives the purpose of each.

    Retired, compromised and destroyed keys are left out; so are profiles missing from the configuration, because
    nothing then says what their keys may vouch for.
    """
    found = []
    for name in sorted(attesting):
        counting = [key for key in ring.ours if key.profile == name and key.state in VERIFYING]
        if counting:
            ordered = tuple(sorted(counting, key=lambda key: key.fingerprint))
            found.append(Profile(name, attesting[name], ordered))
    return tuple(found)
