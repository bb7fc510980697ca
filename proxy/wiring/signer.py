"""Keys on tokens, as the flows need them: the right token for each key, token troubles in the words of the flows."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from hsm import KeyInfo, QueueFull, Token, TokenError
from proxy.config import Settings
from proxy.formats.format import Scheme
from proxy.oci.faults import ConfigError, Fault, Unavailable
from proxy.ports import Turn
from proxy.setup_token import token_settings
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.wiring.opening import Opened, PinRefusedAtStart, Record, Stray, as_recorded, astray, may_serve, open_token
from proxy.wiring.sessions import STEP_S, InUse, Leases, Sessions
from proxy.wiring.standby import Standby

START_S = 3.0  # a start waits this long for a token; pulls wait for the start
RETRY_S = 5.0
LOOK_S = 1.0
_SIGNING = frozenset({KeyState.ACTIVE, KeyState.TRUSTED})


class TokenSigner:
    """A Signer over every configured token. A token that is away is tried again; pulls never notice."""

    def __init__(
        self, settings: Settings, record: Record, log: FilteringBoundLogger, leases: Leases | None = None
    ) -> None:
        """Nothing is open yet. `leases` are given where other processes may use the same tokens."""
        self._settings = settings
        self._record = record
        self._log = log
        self.ill_since: datetime | None = None  # when `health` first had something to say
        self._open: dict[str, Opened] = {}
        self._wrong: dict[str, str] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self.standby = Standby(lambda: self._settings, self._why_away, self._proven, record, log)
        self._uses = {name: InUse() for name in settings.tokens}
        self._shares = {
            name: Sessions(leases, name, entry.sessions, record.clock.monotonic)
            for name, entry in settings.tokens.items()
            if leases is not None
        }

    async def start(self) -> None:
        """Open every token. One that is away is opened later; a refused PIN or a wrong key ends the start.

        Raises PinRefusedAtStart, ConfigError.
        """
        first = {name: asyncio.create_task(self._open_token(name, self._settings)) for name in self._settings.tokens}
        self._opening.update(first)
        if first:
            await asyncio.wait(first.values(), timeout=START_S)
        for name, opening in first.items():
            if not opening.done():
                self._later(name, f"it did not open within {START_S:g} s and is being waited for", opening)
                continue
            try:
                opening.result()
            except Unavailable as away:
                self._later(name, away.what)
        self._do(self._watch())
        self._do(self.standby.watch())
        for name in self._shares:
            self._do(self._keep_share(name))

    async def close(self) -> None:
        """Log out everywhere."""
        tasks = [*self._opening.values(), *self._beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(opened.token.close() for opened in self._open.values()))
        self._open.clear()
        for share in self._shares.values():
            await share.leave()

    async def reopen(self, settings: Settings) -> None:
        """Use what the settings say now: a token whose PIN or place changed is opened anew, once.

        Raises PinRefusedAtStart, ConfigError; what was open before is then still open and used.
        """
        for name, entry in settings.tokens.items():
            now = token_settings(name, entry, settings.directory)
            opened = self._open.get(name)
            same = opened is not None and opened.token.settings.pin_identity == now.pin_identity
            if opened is not None and same and self._settings.tokens.get(name) == entry:
                await may_serve(name, self._settings, settings, opened.token)
                continue
            waiting = self._opening.pop(name, None)
            if waiting is not None:  # two must not log in at once
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            try:
                await self._open_token(name, settings)
            except Unavailable as away:
                if opened is not None:
                    raise ConfigError(f"tokens.{name}: {away.what}") from None
                self._later(name, away.what, settings=settings)
            except (ConfigError, PinRefusedAtStart):
                if opened is None and name in self._wrong:
                    self._later(name, self._wrong[name])
                raise
        self._settings = settings

    def _later(
        self, name: str, why: str, opening: asyncio.Task[None] | None = None, settings: Settings | None = None
    ) -> None:
        self._wrong[name] = why
        self._log.error("token away", token=name, why=why)
        self._opening[name] = asyncio.create_task(self._at_last(name, opening, settings or self._settings))

    async def _at_last(self, name: str, opening: asyncio.Task[None] | None, settings: Settings) -> None:
        while True:
            try:
                if opening is None:
                    await asyncio.sleep(RETRY_S)
                    await self._open_token(name, settings)
                else:
                    under_way, opening = opening, None
                    await under_way
            except Unavailable as away:
                self._wrong[name] = away.what
            except (ConfigError, PinRefusedAtStart) as final:
                self._wrong[name] = str(final)
                self._log.error("token not usable", token=name, why=str(final))
                return
            else:
                self._log.info("token back", token=name)
                return

    async def _open_token(self, name: str, settings: Settings) -> None:
        use, share, total = self._uses[name], self._shares.get(name), settings.tokens[name].sessions
        if share is not None:
            share.total = total
            await share.first(use, START_S)
        mine = total if share is None else len(share)
        await use.make_room(mine)
        fresh = await open_token(name, settings, self._record, allowed=max(1, mine - use.used))
        before, self._open[name] = use.replaced(fresh.token), fresh
        self._wrong.pop(name, None)
        if before is not None:
            self._do(self._retire(name, before, settings.limits.sign_deadline_s))

    async def _retire(self, name: str, token: Token, seconds: float) -> None:
        """Close a token that another has taken the place of, once it has answered what it was asked before."""
        try:
            async with asyncio.timeout(seconds):
                while token.stats.busy or token.stats.queued:  # noqa: ASYNC110  it has no event for this
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        finally:
            await token.close()
            self._uses[name].closed(token)
            if name not in self._shares:
                self._uses[name].allow(self._settings.tokens[name].sessions)

    async def _keep_share(self, name: str) -> None:
        """Hold no more sessions than are ours, for as long as this runs."""
        while True:
            try:
                await self._shares[name].step(self._uses[name])
            except Unavailable as away:
                self._log.warning("sessions cannot be confirmed", token=name, why=away.what)
            await asyncio.sleep(STEP_S)

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def sign(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        """Return a signature in this scheme, verified in software against `key.spki`.

        Raises Unavailable, Fault TOOMANYREQUESTS.
        A trusted key signs too: what a push began while it was active is finished with it.
        """
        known = next((k for k in self._record.keybook.ring().ours if k.spki == key.spki), None)
        if known is None or known.state not in _SIGNING:
            state = "not in the key book" if known is None else known.state.value
            raise Unavailable(
                f"key {fingerprint(key.spki)[:12]} of {key.profile} is {state} and does not sign; push again"
            )
        return await self.signed(key, message, scheme)

    def turns(self, profile: str) -> tuple[Turn, ...]:
        """Return the profile's tokens in its order, each with why it is not expected to sign now."""
        return self.standby.turns(profile)

    def _why_away(self, token: str) -> str | None:
        opened = self._open.get(token)
        if opened is None:
            return self._wrong.get(token, f"token {token} is not open")
        return opened.token.health

    async def _proven(self, token: str) -> None:
        """Do nothing where an active key on this token signs. Raises Unavailable, Fault."""
        keys = self._record.keybook.ring().ours
        key = next((k for k in keys if k.token == token and k.state is KeyState.ACTIVE), None)
        if key is None:
            raise Unavailable(f"no active key is on token {token}")
        await self.prove(key)

    async def prove(self, key: BookKey) -> None:
        """Do nothing where the key signs and its signature verifies, whatever its state. Raises Unavailable, Fault."""
        await self.signed(key, b"countersign: proof of possession " + secrets.token_bytes(16))

    async def signed(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        try:
            token, info = await self.held(key)
            seconds = self._settings.limits.sign_deadline_s
            return await token.sign(info, message, deadline=seconds, scheme=scheme)
        except QueueFull as full:
            text, later = "too many signatures wait already; nothing was signed; push again", {"Retry-After": "5"}
            raise Fault("TOOMANYREQUESTS", text, headers=later, inside=f"{full}; nothing was signed") from None
        except (TokenError, Unavailable) as wrong:
            self.standby.failed(key.token, str(wrong))
            raise Unavailable(str(wrong)) from None

    async def held(self, key: BookKey) -> tuple[Token, KeyInfo]:
        """Return a recorded key as its token knows it. Raises Unavailable, TokenError."""
        name, opened = fingerprint(key.spki), self.opened(key.token)
        if name not in opened.keys:  # made through a session that has gone since
            opened.keys.update({fingerprint(info.spki): info for info in await opened.token.keys()})
        info = opened.keys.get(name)
        if info is None:
            raise Unavailable(f"token {key.token} does not hold key {name[:12]} of {key.profile}")
        return opened.token, info

    async def create_key(self, profile: str, label: str, token: str | None = None) -> BookKey:
        """Return a new key on that token of the profile, else its first: proved, prepared, not recorded yet.

        Raises Unavailable, Fault NAME_UNKNOWN.
        """
        entry = self._settings.keys.get(profile)
        if entry is None:
            raise Fault("NAME_UNKNOWN", f"no key profile {profile!a}; there are {', '.join(self._settings.keys)}")
        token = token or entry.tokens[0]
        if token not in entry.tokens:
            raise Fault("NAME_UNKNOWN", f"keys.{profile}.tokens lists {', '.join(entry.tokens)}, not {token!a}")
        opened = self.opened(token)
        try:
            info = await opened.token.create(label, entry.algorithm)
        except TokenError as wrong:
            raise Unavailable(str(wrong)) from None
        opened.keys[fingerprint(info.spki)] = info
        return as_recorded(profile, token, info, KeyState.PREPARED, self._record.clock)

    async def unrecorded(self) -> list[Stray]:
        """Return the keys on our tokens that look like ours and are not in the key book. They never sign.

        A token that is away has nothing to say. Raises Unavailable.
        """
        return await astray(self._open, self._settings, self._record.keybook.ring())

    def opened(self, token: str) -> Opened:
        opened = self._open.get(token)
        if opened is None:
            raise Unavailable(self._wrong.get(token, f"token {token} is not open"))
        return opened

    def health(self) -> str | None:
        """Return None when every token is open and well, else what is wrong with the first that is not."""
        why = next((f"token {name}: {wrong}" for name, wrong in self._wrong.items()), None) or next(
            (o.token.health for o in self._open.values() if o.token.health is not None), None
        )
        if why is None:
            self.ill_since = None
        elif self.ill_since is None:
            self.ill_since = self._record.clock.now()
        return why

    async def _watch(self) -> None:
        """Know since when, also where nobody asks; and say so in the log."""
        ill: str | None = None
        while True:
            now = self.health()
            if (now is None) != (ill is None):
                if now is None:
                    self._log.info("signing works again")
                else:
                    self._log.error("signing does not work", why=now)
            ill = now
            await asyncio.sleep(LOOK_S)
