"""Certificate requests and self-signed certificates of keys on tokens, in the words of the flows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from hsm import KeyInfo, Token, TokenError
from hsm.certificates import name_of
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.keys import BookKey

Held = Callable[[BookKey], Awaitable[tuple[Token, KeyInfo]]]


class TokenCertifier:
    """A Certifier over every open token."""

    def __init__(self, held: Held) -> None:
        """`held` returns a recorded key as its token knows it; raises Unavailable, TokenError."""
        self._held = held

    async def csr(self, key: BookKey, subject: str) -> bytes:
        """Return a certificate request signed by the key. Raises Unavailable, Fault for a subject that is none."""
        return await self._made(key, subject, lambda token, info: token.csr(info, subject))

    async def self_signed(self, key: BookKey, subject: str, first: datetime, last: datetime) -> bytes:
        """Return a certificate of the key by itself. Raises Unavailable, Fault for a subject that is none."""
        return await self._made(key, subject, lambda token, info: token.self_signed(info, subject, first, last))

    async def _made(self, key: BookKey, subject: str, make: Callable[[Token, KeyInfo], Awaitable[bytes]]) -> bytes:
        try:
            name_of(subject)
        except ValueError as error:
            allowed = "a subject is written as C=DE,ST=Berlin,O=Example,CN=release (RFC 4514)"
            raise Fault("UNSUPPORTED", f"found {subject[:80]!a}; {allowed}: {str(error)[:80]}", status=400) from None
        try:
            return await make(*await self._held(key))
        except TokenError as wrong:
            raise Unavailable(str(wrong)) from None
