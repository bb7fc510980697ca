"""The token signs wrongly, or lacks what was hoped for. A wrong signature never leaves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hsm import KeyInfo, MechanismMissing, SignatureInvalid, Token
from hsm.encoding import verifies
from tests.faults.pkcs11_fault.faulty import ALWAYS, ECDSA, SHA256_RSA_PKCS, Faulty, behind, build, buildable
from tests.worlds.softhsm import fresh_token, softhsm_missing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(softhsm_missing() or not buildable(), reason="needs SoftHSM and gcc"),
]


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return behind(build(tmp_path), fresh_token(tmp_path / "token"), tmp_path / "control", sessions=1)


@pytest.fixture
async def token(faulty: Faulty) -> AsyncIterator[Token]:
    async with await Token.open(faulty.settings) as opened:
        yield opened


@pytest.fixture
async def key(token: Token) -> KeyInfo:
    await token.create("other", "ecdsa-p256")
    return await token.create("release", "ecdsa-p256")


@pytest.mark.parametrize("fault", ["flip", "other-key"])
async def test_a_wrong_signature_is_thrown_away_and_its_maker_replaced(
    faulty: Faulty, token: Token, key: KeyInfo, fault: str
) -> None:
    pids = token.pids
    faulty.inject(fault)
    with pytest.raises(SignatureInvalid, match=r"'release'.*does not verify"):
        await token.sign(key, b"m", deadline=10)
    assert verifies(key.spki, b"m", await token.sign(key, b"m", deadline=10))
    assert token.pids != pids


async def test_a_key_that_cannot_prove_itself_is_not_created(faulty: Faulty, token: Token) -> None:
    faulty.inject("flip")
    with pytest.raises(SignatureInvalid):
        await token.create("release", "ecdsa-p256")


async def test_the_token_holding_another_key_than_the_registered_one(token: Token, key: KeyInfo) -> None:
    other = await token.key("other")
    mistaken = KeyInfo(key.label, key.id, key.algorithm, other.spki, key.token_serial, key.attributes)
    with pytest.raises(SignatureInvalid):
        await token.sign(mistaken, b"m", deadline=10)


async def test_rsa_without_the_hash_combined_mechanism(faulty: Faulty) -> None:
    faulty.inject("hide", SHA256_RSA_PKCS, ALWAYS)
    async with await Token.open(faulty.settings) as token:
        assert "SHA256_RSA_PKCS" not in (await token.describe()).mechanisms
        key = await token.create("rsa", "rsa-3072")
        assert verifies(key.spki, b"m", await token.sign(key, b"m", deadline=10))


async def test_a_token_without_ecdsa_refuses_the_algorithm(faulty: Faulty) -> None:
    faulty.inject("hide", ECDSA, ALWAYS)
    async with await Token.open(faulty.settings) as token:
        with pytest.raises(MechanismMissing, match=r"ecdsa-p256.*ECDSA"):
            await token.create("release", "ecdsa-p256")
        assert await token.keys() == ()


async def test_a_module_that_does_not_know_copyable_still_makes_keys(faulty: Faulty, token: Token) -> None:
    faulty.inject("no-copyable", times=ALWAYS)
    key = await token.create("release", "ecdsa-p256")
    assert key.attributes["EXTRACTABLE"] is False
    assert key.attributes["COPYABLE"] is not False
