"""What the adapters of PKCS#11 tokens are told: every token and every key profile, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from proxy.formats.format import Scheme


class PinRead(Protocol):
    """A PIN, and what changes when its source was written; that says nothing of the PIN."""

    @property
    def value(self) -> str: ...
    @property
    def identity(self) -> str: ...


@dataclass(frozen=True)
class TokenPlan:
    """One token: its module, and its label or serial number or both. Plans are equal where nothing else is configured.

    `pin` reads the PIN at each call, and raises ConfigError where there is none; it compares by its source.
    A refused PIN is remembered in the file `pin_memory`.
    """

    name: str
    module: str
    label: str | None
    serial: str | None
    pin: Callable[[], PinRead]
    pin_memory: Path
    sessions: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class ProfilePlan:
    """One key profile: its tokens, of which the first signs, and what its next key is and how policies use it.

    `label` is that of its first key on each token, `schemes` are those that a token of it must sign in.
    """

    name: str
    tokens: tuple[str, ...]
    label: str
    algorithm: str
    purpose: Literal["image", "attestation"] = "image"
    schemes: tuple[Scheme, ...] = ("pkix",)


@dataclass(frozen=True)
class TokensPlan:
    """All tokens and all profiles by name, in the order of the configuration.

    At most `sign_queue` signatures wait for one token; each takes `sign_deadline_s` seconds at most.
    """

    tokens: Mapping[str, TokenPlan]
    profiles: Mapping[str, ProfilePlan]
    sign_queue: int
    sign_deadline_s: float

    def on(self, token: str) -> tuple[ProfilePlan, ...]:
        """Return the profiles that have a key on this token."""
        return tuple(profile for profile in self.profiles.values() if token in profile.tokens)
