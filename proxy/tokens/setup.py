"""Open, create and inspect the tokens in the configuration. Part of the composition root.

This module knows `hsm`, like its neighbours. Token errors leave it as ConfigError, because nothing can start without a
token.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hsm import KeyInfo, KeyMissing, Token, TokenError, TokenInfo, TokenSettings
from hsm.errors import KeyExists
from hsm.softhsm import find_softhsm, initialise_softhsm, softhsm_environment
from proxy.formats.certificate import pem
from proxy.oci.faults import ConfigError
from proxy.tokens.plan import TokenPlan, TokensPlan
from proxy.trust.keys import fingerprint


@dataclass(frozen=True)
class SoftToken:
    """A SoftHSM token in a directory: the module, and the environment that its users need."""

    module: str
    environment: dict[str, str]
    created: bool


@dataclass(frozen=True)
class Key:
    """A key on a token, and whether it is new. `pem` is its public half."""

    label: str
    algorithm: str
    pem: str
    created: bool


def token_settings(plan: TokenPlan, queue: int = 256) -> TokenSettings:
    """Return the settings with which `hsm` opens this token, its PIN read now. Raises ConfigError without a PIN.

    A file remembers a refused PIN, so that no restart tries it again.
    """
    pin = plan.pin()
    return TokenSettings(
        module=plan.module,
        label=plan.label,
        serial=plan.serial,
        pin=pin.value,
        sessions=plan.sessions,
        environment=plan.environment,
        queue=queue,
        pin_memory=plan.pin_memory,
        pin_identity=pin.identity,
    )


@contextlib.asynccontextmanager
async def opened(settings: TokenSettings) -> AsyncIterator[Token]:
    """Open the token for a short task, with one session. Raises ConfigError."""
    try:
        async with await Token.open(replace(settings, sessions=1)) as token:
            yield token
    except TokenError as error:
        raise ConfigError(str(error)) from None


def new_secret_file(path: Path) -> Path:
    """Create this file with a random secret, mode 0600, unless it exists; it is never visible half written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        os.unlink(fresh)  # noqa: PTH108  the name that mkstemp gave
    return path


def make_softhsm(directory: Path, label: str, pin_file: Path, so_pin_file: Path) -> SoftToken:
    """Return the SoftHSM token in the directory, created with this label if there is none. Raises ConfigError."""
    pin = new_secret_file(pin_file).read_text().strip()
    so_pin = new_secret_file(so_pin_file).read_text().strip()
    try:
        module = find_softhsm()
        try:
            return SoftToken(module, initialise_softhsm(directory, label, pin, so_pin, module=module), True)
        except KeyExists:
            return SoftToken(module, softhsm_environment(directory), False)
    except TokenError as error:
        raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class WantedKey:
    """A key that must be on a token. A missing key is made only if `may_make` is True.

    `else_` is the advice when it is False.
    """

    label: str
    algorithm: str
    may_make: bool
    else_: str = ""


async def make_keys(settings: TokenSettings, wanted: Sequence[WantedKey]) -> tuple[Key, ...]:
    """Return these keys, after making those that are missing and may be made. Raises ConfigError."""
    async with opened(settings) as token:
        return tuple([await _make_key(token, key) for key in wanted])


async def _make_key(token: Token, wanted: WantedKey) -> Key:
    try:
        found = await token.key(wanted.label)
    except KeyMissing as missing:
        if not wanted.may_make:
            raise ConfigError(f"{missing}; {wanted.else_}" if wanted.else_ else str(missing)) from None
        made = await token.create(wanted.label, wanted.algorithm)
        return Key(wanted.label, made.algorithm, pem(made.spki), True)
    if wanted.may_make and found.algorithm != wanted.algorithm:  # an already recorded key may be older than the setting
        raise ConfigError(
            f"{token.settings.name}: key {wanted.label!r} is {found.algorithm}, the configuration says "
            f"{wanted.algorithm}; correct the configuration, or give the key another label"
        )
    return Key(wanted.label, found.algorithm, pem(found.spki), False)


def fingerprint_of(public: bytes) -> str:
    """Return the fingerprint of a public key in PEM; empty if the text is no key."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_public_key(public)
    except ValueError:
        return ""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return fingerprint(key.public_bytes(serialization.Encoding.DER, form))


@dataclass(frozen=True)
class Seen:
    """The contents of one configured token: its description, and each configured key or why it is not usable.

    `there` holds all usable keys, ours or not.
    """

    info: TokenInfo
    keys: dict[str, KeyInfo | str]
    there: tuple[KeyInfo, ...]


async def look(name: str, plan: TokensPlan) -> Seen:
    """Open the token, change nothing, and return its contents. Raises ConfigError."""
    async with opened(token_settings(plan.tokens[name])) as token:
        info = await token.describe()
        found: dict[str, KeyInfo | str] = {}
        for profile in plan.on(name):
            found[profile.name] = await _look_for(token, profile.label)
        return Seen(info, found, await token.keys())


def strays(name: str, plan: TokensPlan, there: Sequence[KeyInfo], recorded: Collection[str]) -> tuple[KeyInfo, ...]:
    """Return the keys on a token that have names like ours and fingerprints that are not recorded."""
    labels = {label for profile in plan.on(name) for label in (profile.name, profile.label)}
    return tuple(
        info
        for info in there
        if fingerprint(info.spki) not in recorded
        and any(info.label == label or info.label.startswith(f"{label}-") for label in labels)
    )


async def _look_for(token: Token, label: str) -> KeyInfo | str:
    try:
        return await token.key(label)
    except TokenError as error:
        return str(error)
