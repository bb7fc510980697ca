"""Keys on tokens, as the flows need them: the right token for each key, token troubles in the words of the flows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from hsm import KeyInfo, PinRefused, QueueFull, Token, TokenError, TokenUnavailable
from hsm.mechanisms import algorithm_named, way_to_sign
from proxy.config import Settings
from proxy.config.schema import KeyEntry
from proxy.oci.faults import ConfigError, Fault, Unavailable
from proxy.ports import Clock, KeyBook
from proxy.setup_token import token_settings
from proxy.trust.keys import BookKey, KeyState, fingerprint

RETRY_S = 5.0


class PinRefusedAtStart(Exception):
    """The token refused the PIN, now or before; nothing is retried until its source changes."""


@dataclass
class _Open:
    token: Token
    keys: Mapping[str, KeyInfo]  # by fingerprint


class TokenSigner:
    """A Signer over every configured token. A token that is away is tried again; pulls never notice."""

    def __init__(self, settings: Settings, keybook: KeyBook, clock: Clock, log: FilteringBoundLogger) -> None:
        """Nothing is open yet."""
        self._settings = settings
        self._keybook = keybook
        self._clock = clock
        self._deadline = settings.limits.sign_deadline_s
        self._log = log
        self.ill_since: datetime | None = None  # when `health` first had something to say
        self._open: dict[str, _Open] = {}
        self._wrong: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.created: list[BookKey] = []  # keys seen for the first time, for the journal

    async def start(self) -> None:
        """Open every token. One that is away is opened later; a refused PIN or a wrong key ends the start.

        Raises PinRefusedAtStart, ConfigError.
        """
        for name in self._settings.tokens:
            try:
                await self._open_token(name)
            except TokenUnavailable as away:
                self._later(name, str(away))

    async def close(self) -> None:
        """Log out everywhere."""
        for task in self._tasks.values():
            task.cancel()
        for opened in self._open.values():
            await opened.token.close()
        self._open.clear()

    async def reopen(self, settings: Settings) -> None:
        """Use what the settings say now: a token whose PIN or place changed is opened anew, once. Raises as start."""
        before, self._settings = self._settings, settings
        for name, entry in settings.tokens.items():
            now = token_settings(name, entry, settings.directory)
            opened = self._open.get(name)
            same = opened is not None and opened.token.settings.pin_identity == now.pin_identity
            if same and before.tokens.get(name) == entry:
                continue
            with contextlib.suppress(KeyError):
                self._tasks.pop(name).cancel()
            try:
                await self._open_token(name)
            except TokenUnavailable as away:
                self._later(name, str(away))
            if opened is not None and self._open.get(name) is not opened:
                await opened.token.close()

    def _later(self, name: str, why: str) -> None:
        self._wrong[name] = why
        self._log.error("token away", token=name, why=why)
        self._tasks[name] = asyncio.create_task(self._retry(name))

    async def _retry(self, name: str) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                await self._open_token(name)
            except TokenUnavailable as away:
                self._wrong[name] = str(away)
            except (ConfigError, PinRefusedAtStart) as final:
                self._wrong[name] = str(final)
                self._log.error("token not usable", token=name, why=str(final))
                return
            else:
                self._log.info("token back", token=name)
                return

    async def _open_token(self, name: str) -> None:
        settings = token_settings(
            name, self._settings.tokens[name], self._settings.directory, self._settings.limits.sign_queue
        )
        try:
            token = await Token.open(settings)
        except PinRefused as refused:
            raise PinRefusedAtStart(str(refused)) from None
        except TokenUnavailable:
            raise
        except TokenError as wrong:
            raise ConfigError(str(wrong)) from None
        try:
            keys = {}
            for profile, entry in self._settings.keys.items():
                if name == entry.tokens[0]:
                    info = await self._adopt(profile, entry, name, token)
                    keys[fingerprint(info.spki)] = info
        except BaseException:
            await token.close()
            raise
        self._open[name] = _Open(token, keys)
        self._wrong.pop(name, None)

    async def _adopt(self, profile: str, entry: KeyEntry, token_name: str, token: Token) -> KeyInfo:
        """Compare the key on the token with the key book; the first one ever seen becomes the profile's active key."""
        try:
            info = await token.key(self._settings.label(profile))
        except TokenUnavailable:
            raise
        except TokenError as wrong:
            raise ConfigError(f"key {profile}: {wrong}; make it with: countersign init") from None
        if info.algorithm != entry.algorithm:
            raise ConfigError(
                f"key {profile}: it is {info.algorithm} on token {token_name}, the configuration says {entry.algorithm}"
            )
        try:
            way_to_sign(algorithm_named(entry.algorithm), (await token.describe()).mechanisms)
        except TokenUnavailable:
            raise
        except TokenError as wrong:
            raise ConfigError(f"key {profile}: {wrong}; choose another algorithm for keys.{profile}") from None
        active = self._keybook.ring().active(profile)
        if active is None:
            key = BookKey(
                profile=profile,
                token=token_name,
                token_serial=info.token_serial,
                key_id=info.id,
                label=info.label,
                algorithm=info.algorithm,
                spki=info.spki,
                state=KeyState.ACTIVE,
                since=self._clock.now(),
            )
            await self._keybook.add(key)
            self.created.append(key)
        elif active.spki != info.spki:
            raise ConfigError(
                f"key {profile}: token {token_name} holds {fingerprint(info.spki)[:12]} under label {info.label!r}, "
                f"the key book says {fingerprint(active.spki)[:12]}; another token or a replaced key: "
                "restore the right one, or start with a new store"
            )
        return info

    async def sign(self, key: BookKey, message: bytes) -> bytes:
        """Return a signature, verified in software against `key.spki`. Raises Unavailable, Fault TOOMANYREQUESTS."""
        opened = self._open.get(key.token)
        info = opened.keys.get(fingerprint(key.spki)) if opened else None
        if opened is None or info is None:
            raise Unavailable(self._wrong.get(key.token, f"token {key.token} does not hold key {key.profile}"))
        try:
            return await opened.token.sign(info, message, deadline=self._deadline)
        except QueueFull as full:
            raise Fault(
                "TOOMANYREQUESTS", f"{full}; nothing was signed; push again", headers={"Retry-After": "5"}
            ) from None
        except TokenError as wrong:
            raise Unavailable(str(wrong)) from None

    def health(self) -> str | None:
        """Return None when every token is open and well, else what is wrong with the first that is not."""
        why = next((f"token {name}: {wrong}" for name, wrong in self._wrong.items()), None) or next(
            (o.token.health for o in self._open.values() if o.token.health is not None), None
        )
        if why is None:
            self.ill_since = None
        elif self.ill_since is None:
            self.ill_since = self._clock.now()
        return why
