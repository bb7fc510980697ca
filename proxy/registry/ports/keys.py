"""Our keys: the key book, the tokens that sign, certificates and timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proxy.formats.format import Scheme
from proxy.journal.event import Event
from proxy.trust.keys import Amendment, BookKey, KeyRing, KeyState


@dataclass(frozen=True)
class TokenState:
    """A token of a key profile. `away` says why it is not expected to sign now, or None."""

    token: str
    away: str | None = None


class Signer(Protocol):
    """Keys that never leave their tokens."""

    def tokens_of(self, profile: str) -> tuple[TokenState, ...]:
        """Return the profile's tokens in order: the first signs, each later one is a standby for those before it."""

    async def sign(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        """Return a signature in this scheme, verified in software against `key.spki`.

        Raises Unavailable, Fault TOOMANYREQUESTS.
        """

    async def create_key(self, profile: str, label: str, token: str | None = None) -> BookKey:
        """Return a new key on that token (else the profile's first), proved: prepared, not recorded yet.

        Raises Unavailable, Fault NAME_UNKNOWN for a profile that is not configured or not on that token.
        """

    async def prove(self, key: BookKey) -> None:
        """Return if a recorded key signs and verifies, whatever its state. Raises Unavailable."""

    def health(self) -> str | None:
        """Return None when signing works as far as we know, else what is wrong."""


class KeyBook(Protocol):
    """Our keys and their states. A change and its journal rows in `record` are stored together, or neither is."""

    def ring(self) -> KeyRing:
        """Return all keys at the current revision."""

    async def add(self, key: BookKey, *, after: str | None = None, record: tuple[Event, ...] = ()) -> None:
        """Record a key; with `after`, only while the key of that fingerprint is active.

        Raises ValueError when its SPKI is already recorded under another profile, when two keys of its profile would be
        active or prepared on one token, and when the `after` key is no longer active: another change was faster.
        """

    async def set_state(
        self,
        fingerprint: str,
        state: KeyState,
        at: datetime,
        *,
        since: datetime | None = None,
        was: KeyState | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        """Move a key to another state, with `was` only from that state; the revision changes. Raises ValueError.

        `since` is for a compromised key: the time since when others may have had it, None if unknown.
        """

    async def activate(
        self,
        fingerprint: str,
        at: datetime,
        *,
        signs_until: datetime | None = None,
        retire_after: datetime | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        """Activate a prepared key on its token; in the same transaction its predecessor becomes trusted.

        The predecessor signs beside it until `signs_until`, and is retired at `retire_after`. Raises ValueError when
        there is no such key, or it is not prepared.
        """

    async def amend(self, fingerprint: str, changes: Amendment, *, record: tuple[Event, ...] = ()) -> None:
        """Change the recorded details of a key in any state; the revision changes too.

        Raises ValueError when there is no such key.
        """


class Timestamper(Protocol):
    """A timestamp authority (RFC 3161) that countersigns our signatures."""

    @property
    def required(self) -> bool:
        """True when a push without a timestamp is refused."""

    async def stamp(self, signature: bytes) -> bytes:
        """Return a token over these bytes, verified against the configured root. Raises Unavailable."""


class Certifier(Protocol):
    """Makes certificate requests and self-signed certificates with keys that never leave their tokens."""

    async def csr(self, key: BookKey, subject: str) -> bytes:
        """Return a certificate request (PKCS#10, DER) signed by the key; `subject` in the format of RFC 4514.

        Raises Unavailable, Fault for an invalid subject.
        """

    async def self_signed(self, key: BookKey, subject: str, first: datetime, last: datetime) -> bytes:
        """Return a self-signed certificate of the key (DER), valid from first to last. Raises Unavailable, Fault."""
