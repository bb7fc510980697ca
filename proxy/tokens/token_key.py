"""What a token reports about itself and its keys, and conclusions from that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.trust.keys import BookKey

CONFIRM_DIGITS = 12
# Attributes of a private key that cannot leave its token (PKCS#11 2.40, 4.9).
_STAYS = {"SENSITIVE": True, "EXTRACTABLE": False}


@dataclass(frozen=True)
class TokenKey:
    """A usable key pair on a token. `key_id` is hex; an attribute is None if the token does not report it."""

    token: str
    token_serial: str
    key_id: str
    label: str
    algorithm: str
    spki: bytes
    attributes: Mapping[str, bool | None]


@dataclass(frozen=True)
class TokenInfo:
    """What a token reports about itself."""

    label: str
    serial: str
    model: str
    manufacturer: str
    firmware: str
    mechanisms: tuple[str, ...]


@dataclass(frozen=True)
class UnrecordedKey:
    """A key on a token that is missing in the key book: from an interrupted rotation, or of unknown origin."""

    token: str
    label: str
    fingerprint: str


def may_leave(attributes: Mapping[str, bool | None]) -> str | None:
    """Return None for a private key that cannot leave its token, else the attributes that leave this in doubt."""
    doubtful = [name for name, due in _STAYS.items() if attributes.get(name) is not due]
    if not doubtful:
        return None
    return ", ".join(f"{name} is {_told(attributes.get(name))}" for name in doubtful)


def more_than_signs(attributes: Mapping[str, bool | None]) -> str:
    """Return the attributes of a private key that let it do more than sign; empty if none does."""
    return ", ".join(name for name in ("DECRYPT", "UNWRAP", "DERIVE") if attributes.get(name))


def _told(value: bool | None) -> str:
    return "not told" if value is None else str(value)


def confirmed(typed: str, key: BookKey) -> bool:
    """True if the input is at least the first twelve digits of the key's fingerprint."""
    return len(typed) >= CONFIRM_DIGITS and key.fingerprint.startswith(typed.lower())
