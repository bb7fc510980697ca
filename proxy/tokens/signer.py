"""Keys on tokens, for the request path: find the token of each key, and translate token errors."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from hsm import KeyInfo, KeyMissing, MechanismMissing, QueueFull, Token, TokenError
from hsm.certificates import name_of
from proxy.formats.format import Scheme
from proxy.oci.faults import ConfigError, Fault, Invalid, NotFound, Told, Unavailable
from proxy.registry.ports.keys import TokenState
from proxy.store.shared import Leases
from proxy.tokens.configured import ConfiguredTokens
from proxy.tokens.failing import FailingKeys
from proxy.tokens.failover import Standby
from proxy.tokens.open import Opened, PinRefusedAtStart, Record, as_recorded, astray
from proxy.tokens.plan import TokensPlan
from proxy.tokens.token_key import UnrecordedKey
from proxy.trust.keys import BookKey, KeyState, fingerprint

_SIGNING = frozenset({KeyState.ACTIVE, KeyState.TRUSTED})


class TokenSigner:
    """A Signer over all configured tokens. Missing tokens and keys are retried; pulls are not affected."""

    def __init__(
        self, plan: TokensPlan, record: Record, log: FilteringBoundLogger, leases: Leases | None = None
    ) -> None:
        """Start with no open token. Pass `leases` if other processes may use the same tokens."""
        self._record = record
        self.failing = FailingKeys(record.keybook.ring, record.clock, log)
        self._tokens = ConfiguredTokens(plan, record, self.failing, log, leases)
        self.standby = Standby(lambda: self.plan, self._why_away, record, log)

    @property
    def plan(self) -> TokensPlan:
        """The current tokens and profiles."""
        return self._tokens.plan

    def begin(self) -> None:
        """Begin to open every token; `start` waits for them. The rest of the start can run in the meantime."""
        self._tokens.begin()

    async def start(self) -> None:
        """Open every token. An unusable token is opened later; a refused PIN aborts the start.

        Raises PinRefusedAtStart, ConfigError if there is no PIN.
        """
        await self._tokens.start()
        self._tokens.do(self.standby.watch())
        self._tokens.do(self.failing.keep_proving(self._prove_again, self._look_again))

    async def opened_within(self, seconds: float) -> None:
        """Wait until each token has opened or failed, but no longer than this."""
        await self._tokens.opened_within(seconds)

    async def close(self) -> None:
        """Log out of all tokens."""
        await self._tokens.close()

    async def reopen(self, plan: TokensPlan) -> None:
        """Use the new plan: a token whose PIN or location has changed is opened again, once.

        Raises PinRefusedAtStart, ConfigError; the previously open tokens then stay open and in use.
        """
        await self._tokens.reopen(plan)

    async def sign(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        """Return a signature in this scheme, verified in software against `key.spki`.

        Raises Unavailable, Fault TOOMANYREQUESTS. A trusted key signs too, so that a push that began while it was
        active can finish with it.
        """
        known = next((k for k in self._record.keybook.ring().ours if k.spki == key.spki), None)
        if known is None or known.state not in _SIGNING:
            state = "not in the key book" if known is None else known.state.value
            raise Unavailable(f"{key.described} is {state} and does not sign; push again", told=Told.SIGNING)
        return await self.signed(key, message, scheme)

    def tokens_of(self, profile: str) -> tuple[TokenState, ...]:
        """Return the profile's tokens in order, each with the reason why it is not expected to sign now."""
        return self.standby.tokens_of(profile)

    def _why_away(self, profile: str, token: str) -> str | None:
        return self._tokens.why_away(token) or self.failing.why(profile, token)

    async def prove(self, key: BookKey) -> None:
        """Raise Unavailable or Fault unless the key, in any state, makes a signature that verifies."""
        await self.signed(key, b"countersign: proof of possession " + secrets.token_bytes(16))

    async def _prove_again(self, key: BookKey) -> None:
        """Let a failed key sign; if its token does not find it, try again through new sessions."""
        try:
            await self.prove(key)
        except Unavailable:
            await self._look_again(key.profile, key.token)
            await self.prove(key)

    async def _look_again(self, _profile: str, token: str) -> None:
        """Open the token again: a session may not see keys that were added or restored after it began."""
        if self._tokens.why_away(token) is not None:
            raise Unavailable("it is opened again already")
        try:
            await self._tokens.open_again(token)
        except (ConfigError, PinRefusedAtStart) as wrong:
            raise Unavailable(str(wrong)) from None

    async def signed(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        """Return a signature of a key in any state. A failure marks the key; a signature clears it."""
        try:
            token, info = await self.held(key)
            seconds = self.plan.sign_deadline_s
            made = await token.sign(info, message, deadline=seconds, scheme=scheme)
        except QueueFull as full:
            text, later = "too many signatures wait already; nothing was signed; push again", {"Retry-After": "5"}
            raise Fault("TOOMANYREQUESTS", text, headers=later, inside=f"{full}; nothing was signed") from None
        except MechanismMissing as never:  # the key may still sign with other mechanisms
            raise Unavailable(str(never)) from None
        except TokenError as wrong:
            self.failing.failed(key, str(wrong), missing=isinstance(wrong, KeyMissing))
            raise Unavailable(str(wrong)) from None
        except Unavailable as away:
            self.failing.failed(key, away.what)
            raise
        self.failing.works(key)
        return made

    async def held(self, key: BookKey) -> tuple[Token, KeyInfo]:
        """Return the token of a recorded key, and the key as found there. Raises Unavailable, TokenError."""
        name, opened = key.fingerprint, self.opened(key.token)
        if name not in opened.keys:  # it may have been made through a session that has since closed
            opened.keys.update({fingerprint(info.spki): info for info in await opened.token.keys()})
        info = opened.keys.get(name)
        if info is None:
            raise KeyMissing(f"token {key.token} does not hold key {name[:12]} of {key.profile}")
        return opened.token, info

    async def create_key(self, profile: str, label: str, token: str | None = None) -> BookKey:
        """Return a new key on that token of the profile, else its first: proved, prepared, not recorded yet.

        Raises Unavailable, Fault NAME_UNKNOWN.
        """
        planned = self.plan.profiles.get(profile)
        if planned is None:
            raise NotFound(f"no key profile {profile!a}; there are {', '.join(self.plan.profiles)}")
        token = token or planned.tokens[0]
        if token not in planned.tokens:
            raise NotFound(f"keys.{profile}.tokens lists {', '.join(planned.tokens)}, not {token!a}")
        opened = self.opened(token)
        try:
            info = await opened.token.create(label, planned.algorithm)
        except TokenError as wrong:
            raise Unavailable(str(wrong)) from None
        opened.keys[fingerprint(info.spki)] = info
        return as_recorded(profile, token, info, KeyState.PREPARED, self._record.clock)

    async def unrecorded(self) -> list[UnrecordedKey]:
        """Return the keys on our tokens that look like ours but are missing in the key book. They never sign.

        Tokens that are away are skipped. Raises Unavailable.
        """
        return await astray(self._tokens.open, self.plan, self._record.keybook.ring())

    def opened(self, token: str) -> Opened:
        """Return an open token. Raises Unavailable."""
        return self._tokens.opened(token)

    def away(self) -> dict[str, tuple[str, datetime]]:
        """Return the tokens without a working session, each with the reason and since when."""
        return self._tokens.away()

    def health(self) -> str | None:
        """Return None when every token is open and every key on it signs, else the first problem."""
        away = self.away()
        first = next((why for why, _ in away.values()), None)
        return first or next((each.why for each in self.failing.now()), None)


Held = Callable[[BookKey], Awaitable[tuple[Token, KeyInfo]]]


class TokenCertifier:
    """A Certifier over all open tokens."""

    def __init__(self, held: Held) -> None:
        """`held` returns a recorded key's token, and the key there; it raises Unavailable, TokenError."""
        self._held = held

    async def csr(self, key: BookKey, subject: str) -> bytes:
        """Return a certificate request signed by the key. Raises Unavailable, Fault for an invalid subject."""
        return await self._made(key, subject, lambda token, info: token.csr(info, subject))

    async def self_signed(self, key: BookKey, subject: str, first: datetime, last: datetime) -> bytes:
        """Return a self-signed certificate of the key. Raises Unavailable, Fault for an invalid subject."""
        return await self._made(key, subject, lambda token, info: token.self_signed(info, subject, first, last))

    async def _made(self, key: BookKey, subject: str, make: Callable[[Token, KeyInfo], Awaitable[bytes]]) -> bytes:
        try:
            name_of(subject)
        except ValueError as error:
            allowed = "a subject is written as C=DE,ST=Berlin,O=Example,CN=release (RFC 4514)"
            raise Invalid(f"found {subject[:80]!a}; {allowed}: {str(error)[:80]}") from None
        try:
            return await make(*await self._held(key))
        except TokenError as wrong:
            raise Unavailable(str(wrong)) from None
