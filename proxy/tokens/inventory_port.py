"""The port for the contents of tokens, as key management needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.tokens.token_key import TokenInfo, TokenKey, UnrecordedKey
from proxy.trust.keys import BookKey


class TokenInventory(Protocol):
    """The contents of the tokens. All methods raise Unavailable."""

    def of(self, profile: str) -> tuple[str, ...]:
        """Return the names of the profile's tokens; the first one signs. Raises Fault NAME_UNKNOWN."""

    async def held(self, token: str) -> tuple[TokenKey, ...]:
        """Return every usable key pair on the token."""

    async def unrecorded(self) -> Sequence[UnrecordedKey]:
        """Return the keys on the tokens that look like ours but are missing in the key book."""

    async def facts(self, token: str) -> TokenInfo:
        """Return what the token reports about itself."""

    async def attest(self, key: BookKey, text: bytes) -> bytes:
        """Return the key's signature over key evidence, in any state of the key. Raises ValueError for another text."""

    async def destroy(self, key: BookKey) -> None:
        """Destroy both halves of the key on the token with the recorded serial, after a proof. Raises Fault."""
