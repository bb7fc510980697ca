"""One token, ready to use: its description, its keys, and checked signatures by them."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from hsm import encoding, wire
from hsm.certificates import check_csr, check_self_signed, name_of
from hsm.errors import KeyAmbiguous, KeyMissing, SignatureInvalid, TokenError
from hsm.mechanisms import Algorithm, Scheme, algorithm_named
from hsm.pool import Pool, Stats
from hsm.replies import expect
from hsm.settings import TokenSettings

_LOOKING = 30.0  # seconds to list keys or describe the token
_MAKING = 180.0  # seconds to make a key pair: RSA-4096 takes a small device minutes


@dataclass(frozen=True)
class KeyInfo:
    """A key pair on a token. `spki` (DER) identifies it; `id` is CKA_ID in hex.

    `attributes` are those of the private key by PKCS#11 name; None if the module does not say.
    """

    label: str
    id: str
    algorithm: str
    spki: bytes
    token_serial: str
    attributes: Mapping[str, bool | None]


@dataclass(frozen=True)
class TokenInfo:
    """The token's description of itself. `mechanisms` are the PKCS#11 names, sorted."""

    label: str
    serial: str
    model: str
    manufacturer: str
    firmware: str
    mechanisms: tuple[str, ...]
    slot_description: str


class Token:
    """A token that is logged in, in processes of its own. Use `Token.open`, and close it."""

    def __init__(self, settings: TokenSettings, pool: Pool) -> None:
        self.settings = settings
        self._pool = pool
        self._making = asyncio.Lock()

    @classmethod
    async def open(cls, settings: TokenSettings, *, allowed: int | None = None) -> Self:
        """Return the token, logged in by at least one child; `allowed` is the initial value for `allow`.

        Raises PinRefused: wrong PIN, or one recorded as wrong (`settings.pin_memory`); nothing was retried.
        TokenNotFound: no such module or token. TokenUnavailable: the token exists and does not work now.
        """
        pool = Pool(settings)
        if allowed is not None:
            pool.allowance.change(allowed)
        await pool.open()
        return cls(settings, pool)

    def allow(self, sessions: int) -> None:
        """Allow at most this many sessions, and never more than the settings say; `used` says how many still exist.

        Sessions beyond the number finish their work and log out.
        """
        self._pool.allowance.change(min(sessions, self.settings.sessions))

    @property
    def used(self) -> int:
        """Return how many sessions are open, being opened or being closed."""
        return self._pool.allowance.used

    async def close(self) -> None:
        """Log out and end all child processes."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def health(self) -> str | None:
        """Return None while signing can be expected to work, else the reason why not."""
        return self._pool.health

    @property
    def stats(self) -> Stats:
        """Return the current numbers."""
        return self._pool.stats

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the children that are logged in."""
        return self._pool.pids

    async def describe(self) -> TokenInfo:
        """Return the token's description of itself."""
        d = await self._pool.ask(wire.Describe(0), lambda reply: expect(reply, wire.Described), seconds=_LOOKING)
        return TokenInfo(d.label, d.serial, d.model, d.manufacturer, d.firmware, d.mechanisms, d.slot)

    async def keys(self) -> tuple[KeyInfo, ...]:
        """Return the usable key pairs: one private and one public object, an algorithm of the table."""
        return (await self._found())[0]

    async def key(self, label: str) -> KeyInfo:
        """Return the one key of that label. KeyMissing and KeyAmbiguous name the keys found instead."""
        keys, strange = await self._found()
        fitting = [key for key in keys if key.label == label]
        notes = [note for note in strange if note.startswith(f"{label!r} ")]
        if len(fitting) == 1 and not notes:
            return fitting[0]
        if fitting or notes:
            ids = [f"{key.label!r} (id {key.id}) is a usable key" for key in fitting]
            raise KeyAmbiguous(
                f"{self.settings.name}: label {label!r} does not name exactly one key pair: {'; '.join(ids + notes)}"
            )
        there = ", ".join(repr(key.label) for key in keys) or "none"
        raise KeyMissing(f"{self.settings.name} has no key {label!r}; its usable keys: {there}")

    async def create(self, label: str, algorithm: str) -> KeyInfo:
        """Return a new key pair that can only sign and never leave, proved by a signature.

        Raises KeyExists when the label is taken, MechanismMissing when the token cannot serve the algorithm.
        """
        row = algorithm_named(algorithm)
        if not label:
            raise TokenError(f"{self.settings.name}: a key needs a label")
        # Random, and chosen beforehand: with MODIFIABLE False it cannot be set afterwards.
        request = wire.Create(secrets.token_hex(16), label, row.name, 0)
        serial = (await self.describe()).serial
        # One at a time: a SoftHSM process that writes an object misses an object written by another process at the same
        # moment, so neither would see the other's key of the same label (measured).
        async with self._making:
            key = await self._pool.ask(
                request,
                lambda reply: self._key_info(expect(reply, wire.Keys).keys[0], serial),
                seconds=_MAKING,
                repeatable=False,  # the first attempt may have made it
            )
        await self.sign(key, b"proof of possession " + secrets.token_bytes(16), deadline=_LOOKING)
        return key

    async def destroy(self, key: KeyInfo) -> bool:
        """Remove both halves of the key from the token; return False if neither existed before.

        The private half first proves that it belongs to `key.spki`. Raises KeyMissing if this is another token than
        `key.token_serial`, KeyAmbiguous, TokenError if it is another key or the token keeps it. After an interruption,
        a second call completes the removal.
        """
        row = algorithm_named(key.algorithm)
        request = wire.Destroy(key.token_serial, key.id, key.label, row.name, key.spki, 0)
        async with self._making:
            done = await self._pool.ask(request, lambda reply: expect(reply, wire.Destroyed), seconds=_LOOKING)
        return done.private or done.public

    async def csr(self, key: KeyInfo, subject: str) -> bytes:
        """Return a certificate request for the key (PKCS#10, DER), signed by it and checked; `subject` as in RFC 4514.

        It requests digital signatures for code. Raises TokenError for an invalid subject.
        """
        self._nameable(subject)
        request = wire.Csr(key.id, key.label, algorithm_named(key.algorithm).name, key.spki, subject, 0)
        return await self._pool.ask(
            request, lambda reply: self._built(reply, key, lambda der: check_csr(der, key.spki, subject)),
            seconds=_LOOKING,
        )  # fmt: skip

    async def self_signed(self, key: KeyInfo, subject: str, not_before: datetime, not_after: datetime) -> bytes:
        """Return a self-signed certificate of the key (DER), checked: a leaf for digital signatures, not a CA.

        Times are in whole seconds.
        """
        self._nameable(subject)
        start, end = not_before.timestamp(), not_after.timestamp()
        if start >= end:
            raise TokenError(f"{self.settings.name}: a certificate cannot end ({not_after}) before it is valid")
        name = algorithm_named(key.algorithm).name
        request = wire.SelfSigned(key.id, key.label, name, key.spki, subject, start, end, 0)
        return await self._pool.ask(
            request, lambda reply: self._built(reply, key, lambda der: check_self_signed(der, key.spki, subject)),
            seconds=_LOOKING,
        )  # fmt: skip

    def _nameable(self, subject: str) -> None:
        try:
            name_of(subject)
        except ValueError as error:
            why = str(error) or "write one as CN=release,O=Example,C=DE"
            raise TokenError(f"{self.settings.name}: {subject[:200]!r} is no subject: {why}") from None

    def _built(self, reply: wire.Reply, key: KeyInfo, check: Callable[[bytes], None]) -> bytes:
        der = expect(reply, wire.Built).der
        try:
            check(der)
        except ValueError as error:
            raise SignatureInvalid(
                f"{self.settings.name}, key {key.label!r}: {error}; it was thrown away and the session ended"
            ) from None
        return der

    async def sign(self, key: KeyInfo, message: bytes, *, deadline: float, scheme: Scheme = "pkix") -> bytes:
        """Return the signature over the message, verified against `key.spki`.

        `pkix`: over SHA-256, ASN.1 DER for ECDSA, PKCS#1 v1.5 for RSA. `jose`: ES256, ES384, PS384 or PS512, depending
        on the key. Raises MechanismMissing when the token cannot do that. `deadline` is in seconds and includes the
        time in the queue. SignatureInvalid: the token signed with another key or wrongly; the result was discarded.
        """
        row = algorithm_named(key.algorithm)
        if len(message) > wire.MESSAGE_LIMIT:
            raise TokenError(f"{self.settings.name} signs at most {wire.MESSAGE_LIMIT} bytes, these are {len(message)}")
        request = wire.Sign(key.id, key.label, row.name, scheme, message, 0)
        return await self._pool.ask(
            request, lambda reply: self._checked(row, key, message, scheme, reply), seconds=deadline
        )

    def _checked(self, row: Algorithm, key: KeyInfo, message: bytes, scheme: Scheme, reply: wire.Reply) -> bytes:
        raw = expect(reply, wire.Signed).raw
        try:
            signature = encoding.finished(row, raw, scheme)
        except ValueError as error:
            raise SignatureInvalid(f"{self.settings.name}, key {key.label!r}: {error}") from None
        if not encoding.verifies(key.spki, message, signature, scheme):
            raise SignatureInvalid(
                f"{self.settings.name}: a signature by key {key.label!r} (id {key.id}) does not verify with its "
                "registered public key. It was thrown away and the session ended; if this repeats, the token holds "
                "another key under that name: compare its public key with the registered one."
            )
        return signature

    async def _found(self) -> tuple[tuple[KeyInfo, ...], tuple[str, ...]]:
        serial = (await self.describe()).serial
        reply = await self._pool.ask(wire.ListKeys(0), lambda reply: expect(reply, wire.Keys), seconds=_LOOKING)
        return tuple(self._key_info(found, serial) for found in reply.keys), reply.strange

    def _key_info(self, found: wire.FoundKey, serial: str) -> KeyInfo:
        row = algorithm_named(found.algorithm)
        try:
            spki = encoding.spki_of(row, found.point, found.modulus, found.exponent)
        except ValueError as error:
            raise TokenError(f"{self.settings.name}: the public half of {found.label!r} is no key: {error}") from None
        return KeyInfo(found.label, found.id, row.name, spki, serial, dict(found.attributes))
