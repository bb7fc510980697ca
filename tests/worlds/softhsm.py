"""Real SoftHSM tokens in directories of their own, made fresh for a test."""

from dataclasses import dataclass, replace
from pathlib import Path

from hsm import TokenSettings
from hsm.softhsm import find_softhsm, initialise_softhsm

PIN = "4711-canary"
SO_PIN = "so-4711-canary"


@dataclass(frozen=True)
class SoftToken:
    """A token in `directory`; `settings` open it."""

    directory: Path
    settings: TokenSettings

    def with_(self, **changes: object) -> TokenSettings:
        """The settings with some of them changed."""
        return replace(self.settings, **changes)  # type: ignore[arg-type]


def fresh_token(directory: Path, label: str = "test", *, sessions: int = 2) -> SoftToken:
    """A new, empty token in that directory."""
    environment = initialise_softhsm(directory, label, PIN, SO_PIN)
    settings = TokenSettings(module=find_softhsm(), label=label, pin=PIN, sessions=sessions, environment=environment)
    return SoftToken(directory, settings)


def softhsm_missing() -> bool:
    """True where SoftHSM is not installed."""
    try:
        find_softhsm()
    except Exception:  # noqa: BLE001  # any reason is a reason to skip
        return True
    return False
