"""Turns the configuration into the plain values that adapters take. Part of the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config import Settings
from proxy.config.schema import Pin
from proxy.config.secrets import Secret, read_secret
from proxy.tokens.plan import ProfilePlan, TokenPlan, TokensPlan
from proxy.tokens.schemes import schemes


def tokens_plan(settings: Settings) -> TokensPlan:
    """Return the configured tokens and the keys on them. No PIN is read here."""
    tokens = {
        name: TokenPlan(
            name=name,
            module=str(entry.module),
            label=entry.label,
            serial=entry.serial,
            pin=_PinOf(name, entry.pin),
            pin_memory=settings.directory / f"pin-refused-{name}.json",
            sessions=entry.sessions,
            environment=entry.environment,
        )
        for name, entry in settings.tokens.items()
    }
    profiles = {
        name: ProfilePlan(
            name=name,
            tokens=entry.tokens,
            label=settings.label(name),
            algorithm=entry.algorithm,
            purpose=settings.purpose(name),
            schemes=schemes(name, settings.policies.policies),
        )
        for name, entry in settings.keys.items()
    }
    return TokensPlan(tokens, profiles, settings.limits.sign_queue, settings.limits.sign_deadline_s)


@dataclass(frozen=True)
class _PinOf:
    """Reads the PIN of this token. A class instead of a closure, so that plans can be compared."""

    token: str
    source: Pin

    def __call__(self) -> Secret:
        return read_secret(self.source, f"PIN of token {self.token}")
