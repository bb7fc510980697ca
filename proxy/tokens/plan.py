"""The configuration of PKCS#11 tokens and key profiles for their adapters, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from proxy.formats.format import Scheme


class PinRead(Protocol):
    """A PIN, and a value that changes when its source is written; the value reveals nothing about the PIN."""

    @property
    def value(self) -> str: ...
    @property
    def identity(self) -> str: ...


@dataclass(frozen=True)
class TokenPlan:
    """One token: its module, and its label, serial number or both. Plans are equal if their configuration is.

    `pin` reads the PIN at each call, and raises ConfigError if there is none; PINs are compared by source. The file
    `pin_memory` remembers a refused PIN.
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
    """One key profile: its tokens, of which the first signs, the settings of its next key, and its use in policies.

    `label` is the label of its first key on each token; `schemes` are those that its tokens must support.
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

    At most `sign_queue` signatures wait for one token; each takes at most `sign_deadline_s` seconds.
    """

    tokens: Mapping[str, TokenPlan]
    profiles: Mapping[str, ProfilePlan]
    sign_queue: int
    sign_deadline_s: float

    def on(self, token: str) -> tuple[ProfilePlan, ...]:
        """Return the profiles that have a key on this token."""
        return tuple(profile for profile in self.profiles.values() if token in profile.tokens)
