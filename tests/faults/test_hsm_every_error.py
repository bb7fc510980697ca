"""Every error that a signature can meet on a token, by number: what is done is what the table says; it signs again."""

from __future__ import annotations

import asyncio

import pytest

from hsm import KeyInfo, Token, TokenError
from hsm.encoding import verifies
from hsm.troubles import TROUBLES, Remedy
from tests.faults.pkcs11_fault.faulty import Faulty, behind, build, buildable
from tests.worlds.softhsm import fresh_token, softhsm_missing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(softhsm_missing() or not buildable(), reason="needs SoftHSM and gcc"),
]
# PKCS#11 2.40, 11.1 and pkcs11t.h; but for those about a PIN, which no signature meets (see test_hsm_pin).
ERRORS = {
    "HostMemory": 0x02,
    "SlotIDInvalid": 0x03,
    "GeneralError": 0x05,
    "FunctionFailed": 0x06,
    "ArgumentsBad": 0x07,
    "DataInvalid": 0x20,
    "DataLenRange": 0x21,
    "DeviceError": 0x30,
    "DeviceMemory": 0x31,
    "DeviceRemoved": 0x32,
    "FunctionCancelled": 0x50,
    "FunctionNotSupported": 0x54,
    "KeyHandleInvalid": 0x60,
    "KeySizeRange": 0x62,
    "KeyTypeInconsistent": 0x63,
    "MechanismInvalid": 0x70,
    "MechanismParamInvalid": 0x71,
    "ObjectHandleInvalid": 0x82,
    "OperationActive": 0x90,
    "OperationNotInitialized": 0x91,
    "SessionClosed": 0xB0,
    "SessionCount": 0xB1,
    "SessionHandleInvalid": 0xB3,
    "SessionReadOnly": 0xB5,
    "TokenNotPresent": 0xE0,
    "TokenNotRecognised": 0xE1,
    "UserNotLoggedIn": 0x101,
    "UserTooManyTypes": 0x105,
    "FunctionRejected": 0x200,
}
NAMELESS = {"cryptoki not initialized": 0x190, "mutex": 0x1A0, "a vendor's": 0x80000001, "a vendor's last": 0xFFFFFFFF}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    soft = fresh_token(tmp_path_factory.mktemp("token"))

    async def key() -> None:
        async with await Token.open(soft.settings) as opened:
            await opened.create("release", "ecdsa-p256")

    asyncio.run(key())
    return behind(build(tmp_path_factory.mktemp("module")), soft, tmp_path_factory.mktemp("steer"), sessions=1)


async def signs(token: Token, key: KeyInfo) -> None:
    assert verifies(key.spki, b"m", await token.sign(key, b"m", deadline=30))


@pytest.mark.parametrize(("name", "number"), [*ERRORS.items(), *NAMELESS.items()])
async def test_what_is_done_is_what_the_table_says_and_it_signs_again(faulty: Faulty, name: str, number: int) -> None:
    remedy = TROUBLES["PKCS11Error" if name in NAMELESS else name].remedy
    async with await Token.open(faulty.settings) as token:
        key = await token.key("release")
        faulty.inject("sign", number)
        if remedy is Remedy.KEEP:
            with pytest.raises(TokenError, match=TROUBLES[name].means):
                await token.sign(key, b"m", deadline=30)
        else:
            await signs(token, key)
        assert token.stats.restarts == (0 if remedy is Remedy.KEEP else 1)
        await signs(token, key)
        assert token.health is None
