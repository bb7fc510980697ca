"""The settings of one token: plain values; no file is read here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class TokenSettings:
    """One token and the limits of its use.

    `label` or `serial` selects the token (both together narrow the selection; slot numbers change and are never used).
    `environment` is added to the few variables that child processes inherit. `queue` bounds the requests that wait.
    `pin_memory` is the file that records a refused PIN, `pin_identity` identifies that PIN without revealing it (see
    `hsm.pin`).
    """

    module: str
    label: str | None = None
    serial: str | None = None
    pin: str = field(default="", repr=False)
    sessions: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    queue: int = 256
    pin_memory: Path | None = None
    pin_identity: str = ""

    def __post_init__(self) -> None:
        if self.label is None and self.serial is None:
            raise ValueError(f"token of module {self.module}: give its label or its serial number")
        if self.sessions < 1 or self.queue < 1:
            raise ValueError(f"{self.name}: sessions and queue must be at least 1")

    @property
    def name(self) -> str:
        """Return the token's name in error texts."""
        return f"token {self.label or self.serial!r}"
