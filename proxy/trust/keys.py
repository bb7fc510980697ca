"""Our keys and other people's, and what each may vouch for. Keys are identified by their SPKI, never by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal, TypedDict

from proxy.trust.authority import Authority, KeylessSigner

Identity = Literal["any", "repository", "exact"]


class KeyState(StrEnum):
    """The life of our key; only `active` signs; `prepared`, `active` and `trusted` verify."""

    PREPARED = "prepared"
    ACTIVE = "active"
    TRUSTED = "trusted"
    RETIRED = "retired"
    COMPROMISED = "compromised"
    DESTROYED = "destroyed"


VERIFYING = frozenset({KeyState.PREPARED, KeyState.ACTIVE, KeyState.TRUSTED})


@dataclass(frozen=True)
class BookKey:
    """One of our keys as recorded in the key book. `spki` is DER; `key_id` the hex CKA_ID on the token.

    `chain` is the certificate chain issued for it, DER, leaf to root. At `activate_at` a prepared key becomes active;
    until `signs_until` a trusted key still signs beside the active one, and after `retire_after` it is retired. On a
    prepared key, both are for its predecessor. `backup_at` is the last time an operator confirmed a backup of the token
    with this key on it.
    """

    profile: str
    token: str
    token_serial: str
    key_id: str
    label: str
    algorithm: str
    spki: bytes
    state: KeyState
    since: datetime
    compromised_since: datetime | None = None
    chain: tuple[bytes, ...] = ()
    activate_at: datetime | None = None
    signs_until: datetime | None = None
    retire_after: datetime | None = None
    backup_at: datetime | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Return the hex SHA-256 of its SPKI."""
        return fingerprint(self.spki)

    @property
    def short(self) -> str:
        """Return the first digits of its fingerprint, for texts and file names."""
        return self.fingerprint[:12]

    @property
    def described(self) -> str:
        """Return the key as texts name it."""
        return f"key {self.short} of {self.profile}"


class Amendment(TypedDict, total=False):
    """The fields of a key that may change without a change of its state."""

    token: str
    token_serial: str
    key_id: str
    label: str
    chain: tuple[bytes, ...]
    activate_at: datetime | None
    signs_until: datetime | None
    retire_after: datetime | None
    backup_at: datetime | None


@dataclass(frozen=True)
class TrustedKey:
    """Another party's key, from configuration. `identity` says what its signatures must be bound to."""

    name: str
    spki: bytes
    identity: Identity = "any"


Trusted = TrustedKey | Authority | KeylessSigner


@dataclass(frozen=True)
class Verifier:
    """A key to try a signature against: its name in policies, and what it may vouch for."""

    fingerprint: str
    spki: bytes
    name: str
    identity: Identity
    ours: bool
    state: KeyState = KeyState.ACTIVE
    compromised_since: datetime | None = None  # also None if the time is unknown


def fingerprint(spki: bytes) -> str:
    """Return the hex SHA-256 of a DER SubjectPublicKeyInfo: the identity of a key everywhere in this project."""
    return hashlib.sha256(spki).hexdigest()


@dataclass(frozen=True)
class KeyRing:
    """All keys at one revision of the key book; `revision` is the hash of its full text."""

    revision: str
    ours: tuple[BookKey, ...] = ()
    others: tuple[TrustedKey, ...] = ()
    authorities: tuple[Authority, ...] = ()
    keyless: tuple[KeylessSigner, ...] = ()

    def verifiers(self, name: str) -> tuple[Verifier, ...]:
        """Return every key known under this name, including retired and compromised ones, so that a denial can say so.

        The key book's record of our own key holds under every name, even if configuration trusts the key again, under
        another name or with another identity.
        """
        named = dict.fromkeys(
            [*(k.spki for k in self.ours if k.profile == name), *(k.spki for k in self.others if k.name == name)]
        )
        found = []
        for spki in named:
            own = self.find(fingerprint(spki))
            if own is not None:
                since = own.compromised_since
                found.append(Verifier(fingerprint(spki), spki, name, "repository", True, own.state, since))
                continue
            identities = [k.identity for k in self.others if k.name == name and k.spki == spki]
            found += [Verifier(fingerprint(spki), spki, name, identity, False) for identity in identities]
        certified = [each for signer in self.keyless if signer.name == name for each in signer.fingerprints]
        return (*found, *(Verifier(each, b"", name, "any", False) for each in certified))

    def counted_as(self, fingerprint: str) -> str:
        """Return the name a signer is counted under: a keyless one by issuer and identity, whatever its root."""
        for signer in self.keyless:
            for identity, own in zip(signer.identities, signer.fingerprints, strict=True):
                if own == fingerprint:
                    return f"{identity} of {signer.issuer}"
        return fingerprint

    def all_verifiers(self) -> tuple[Verifier, ...]:
        """Return every key under every name, ours first."""
        names = dict.fromkeys([*(k.profile for k in self.ours), *(k.name for k in self.others)])
        return tuple(v for name in names for v in self.verifiers(name))

    def find(self, fingerprint: str) -> BookKey | None:
        """Return our key with this fingerprint, or None."""
        return self._by_fingerprint.get(fingerprint)

    @cached_property
    def _by_fingerprint(self) -> Mapping[str, BookKey]:
        return {key.fingerprint: key for key in reversed(self.ours)}  # of equal keys the first counts

    def active(self, profile: str, token: str | None = None) -> BookKey | None:
        """Return the key that signs for this profile, on this token if one is named, or None."""
        return next((k for k in self.ours if k.state is KeyState.ACTIVE and _of(k, profile, token)), None)

    def prepared(self, profile: str, token: str) -> BookKey | None:
        """Return the key on this token that is prepared to sign for this profile, or None."""
        return next((k for k in self.ours if k.state is KeyState.PREPARED and _of(k, profile, token)), None)

    def signers(self, profile: str, now: datetime) -> Mapping[str, tuple[BookKey, ...]]:
        """Return the keys that sign for this profile now, by token: the active one, then those beside it.

        A push is signed with all keys of one token. Tokens without an active key are left out.
        """
        found: dict[str, tuple[BookKey, ...]] = {
            k.token: (k,) for k in self.ours if k.state is KeyState.ACTIVE and _of(k, profile)
        }
        for key in self.ours:
            beside = key.state is KeyState.TRUSTED and key.signs_until is not None and now < key.signs_until
            if beside and key.token in found and _of(key, profile):
                found[key.token] += (key,)
        return found


def _of(key: BookKey, profile: str, token: str | None = None) -> bool:
    return key.profile == profile and token in (None, key.token)
