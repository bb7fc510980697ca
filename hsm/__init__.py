"""A hardware token and its keys. Independent of images; usable alone.

    async with await Token.open(TokenSettings(module=..., label="prod", pin=...)) as token:
        key = await token.key("release")
        signature = await token.sign(key, message, deadline=10)

The PKCS#11 module is loaded in child processes only (`hsm.worker`), never in this one.
"""

from hsm.errors import (
    KeyAmbiguous,
    KeyExists,
    KeyMissing,
    MechanismMissing,
    ModuleMissing,
    PinRefused,
    QueueFull,
    SignatureInvalid,
    TokenError,
    TokenNotFound,
    TokenUnavailable,
)
from hsm.pool import Stats
from hsm.settings import TokenSettings
from hsm.token import KeyInfo, Token, TokenInfo

__all__ = [
    "KeyAmbiguous",
    "KeyExists",
    "KeyInfo",
    "KeyMissing",
    "MechanismMissing",
    "ModuleMissing",
    "PinRefused",
    "QueueFull",
    "SignatureInvalid",
    "Stats",
    "Token",
    "TokenError",
    "TokenInfo",
    "TokenNotFound",
    "TokenSettings",
    "TokenUnavailable",
]
