"""The Tokens port over keys in this process: what a token shows is what was put on it."""

from __future__ import annotations

from proxy.formats.key_evidence import KIND
from proxy.oci.faults import Fault, Unavailable
from proxy.tokens.token_key import TokenInfo, TokenKey, UnrecordedKey
from proxy.trust.keys import BookKey
from tests.worlds.memory import SoftSigner

STAYS: dict[str, bool | None] = {"SENSITIVE": True, "EXTRACTABLE": False, "SIGN": True}


def held(key: BookKey, **attributes: bool | None) -> TokenKey:
    """The key as its token shows it."""
    told = {**STAYS, **attributes}
    return TokenKey(key.token, key.token_serial, key.key_id, key.label, key.algorithm, key.spki, told)


class SoftTokens:
    """Tokens whose keys a SoftSigner has. `there` is what they show; `down` says what is wrong, when something is."""

    def __init__(self, signer: SoftSigner, *there: TokenKey) -> None:
        self.signer = signer
        self.there = list(there)
        self.destroyed: list[BookKey] = []
        self.down: str | None = None
        self.astray: list[UnrecordedKey | Unavailable] = []  # keys in no record, or why the tokens do not say

    def of(self, profile: str) -> tuple[str, ...]:
        if profile == "nothing":
            raise Fault("NAME_UNKNOWN", "no key profile 'nothing' is configured")
        return ("soft", "standby")

    async def held(self, token: str) -> tuple[TokenKey, ...]:
        if self.down is not None:
            raise Unavailable(self.down)
        return tuple(each for each in self.there if each.token == token)

    async def unrecorded(self) -> list[UnrecordedKey]:
        for each in self.astray:
            if isinstance(each, Unavailable):
                raise each
        return [each for each in self.astray if isinstance(each, UnrecordedKey)]

    async def facts(self, token: str) -> TokenInfo:
        return TokenInfo(token, "0001", "Soft", "Nobody", "1.0", ("ECDSA",))

    async def attest(self, key: BookKey, text: bytes) -> bytes:
        if not text.startswith(f"{KIND}\n".encode()):
            raise ValueError("only key evidence is signed here")
        return await self.signer.sign(key, text)

    async def destroy(self, key: BookKey) -> None:
        if self.down is not None:
            raise Unavailable(self.down)
        self.there = [each for each in self.there if each.spki != key.spki]
        self.destroyed.append(key)
