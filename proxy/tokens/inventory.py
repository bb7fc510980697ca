"""The TokenInventory port: the contents of the tokens that the signer has open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hsm import KeyAmbiguous, KeyInfo, KeyMissing, TokenError, TokenUnavailable
from proxy.formats.key_evidence import KIND
from proxy.oci.faults import Conflict, NotFound, Unavailable
from proxy.tokens.signer import TokenSigner
from proxy.tokens.token_key import TokenInfo, TokenKey, UnrecordedKey
from proxy.trust.keys import BookKey


class OpenTokens:
    """Every configured token, through the sessions that sign."""

    def __init__(self, signer: TokenSigner) -> None:
        """Use the signer's plan for the profiles."""
        self._signer = signer

    def of(self, profile: str) -> tuple[str, ...]:
        """Return the names of the profile's tokens; the first one signs. Raises Fault NAME_UNKNOWN."""
        planned = self._signer.plan.profiles.get(profile)
        if planned is None:
            raise NotFound(f"no key profile {profile!a} is configured")
        return planned.tokens

    async def unrecorded(self) -> list[UnrecordedKey]:
        """Return the keys on the tokens that look like ours but are missing in the key book. Raises Unavailable."""
        return await self._signer.unrecorded()

    async def held(self, token: str) -> tuple[TokenKey, ...]:
        """Return every usable key pair on the token. Raises Unavailable."""
        async with _translated():
            keys = await self._signer.opened(token).token.keys()
        return tuple(
            TokenKey(token, k.token_serial, k.id, k.label, k.algorithm, k.spki, dict(k.attributes)) for k in keys
        )

    async def facts(self, token: str) -> TokenInfo:
        """Return what the token reports about itself. Raises Unavailable."""
        async with _translated():
            info = await self._signer.opened(token).token.describe()
        return TokenInfo(info.label, info.serial, info.model, info.manufacturer, info.firmware, info.mechanisms)

    async def attest(self, key: BookKey, text: bytes) -> bytes:
        """Return the key's signature over key evidence, in any state of the key; no other text is signed here.

        Raises Unavailable, and ValueError for any other text.
        """
        if not text.startswith(f"{KIND}\n".encode()):
            raise ValueError("only key evidence is signed here")
        return await self._signer.signed(key, text)

    async def destroy(self, key: BookKey) -> None:
        """Destroy both halves of the key on the token with the recorded serial. Raises Fault, Unavailable."""
        opened = self._signer.opened(key.token)
        info = KeyInfo(key.label, key.key_id, key.algorithm, key.spki, key.token_serial, {})
        async with _translated():
            await opened.token.destroy(info)
        opened.keys.pop(key.fingerprint, None)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (KeyMissing, KeyAmbiguous) as wrong:
        raise Conflict(
            f"{wrong}; if the key is on another token now: countersign keys rebind KEY --on TOKEN --reason TEXT"
        ) from None
    except TokenUnavailable as away:
        raise Unavailable(str(away)) from None
    except TokenError as wrong:
        raise Conflict(str(wrong)) from None
