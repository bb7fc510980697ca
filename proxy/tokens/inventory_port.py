"""What lies on the tokens, as the flows about keys need it."""

from __future__ import annotations

from typing import Protocol

from proxy.tokens.token_key import TokenInfo, TokenKey
from proxy.trust.keys import BookKey


class TokenInventory(Protocol):
    """What is on the tokens. All calls raise Unavailable."""

    def of(self, profile: str) -> tuple[str, ...]:
        """Return the names of the profile's tokens, the one that signs first. Raises Fault NAME_UNKNOWN."""

    async def held(self, token: str) -> tuple[TokenKey, ...]:
        """Return every usable key pair on the token."""

    async def facts(self, token: str) -> TokenInfo:
        """Return what the token says of itself."""

    async def attest(self, key: BookKey, text: bytes) -> bytes:
        """Return the key's signature over a key evidence, whatever its state. Raises ValueError for another text."""

    async def destroy(self, key: BookKey) -> None:
        """Leave neither half of the key on the token of the recorded serial; it proves itself first. Raises Fault."""
