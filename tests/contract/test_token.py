"""What every token must do, asked of a real SoftHSM."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hsm import (
    KeyAmbiguous,
    KeyExists,
    KeyInfo,
    KeyMissing,
    MechanismMissing,
    ModuleMissing,
    PinRefused,
    Token,
    TokenError,
    TokenNotFound,
    TokenSettings,
)
from hsm.encoding import algorithm_of, verifies
from hsm.softhsm import find_softhsm, initialise_softhsm, softhsm_environment
from tests.worlds.softhsm import PIN, SO_PIN, SoftToken, fresh_token, softhsm_missing

pytestmark = [pytest.mark.real, pytest.mark.skipif(softhsm_missing(), reason="needs SoftHSM")]


@pytest.fixture
def soft(tmp_path: Path) -> SoftToken:
    return fresh_token(tmp_path / "token")


@pytest.fixture
async def token(soft: SoftToken) -> AsyncIterator[Token]:
    async with await Token.open(soft.settings) as opened:
        yield opened


@pytest.fixture
async def key(token: Token) -> KeyInfo:
    return await token.create("release", "ecdsa-p256")


async def test_it_says_what_it_is(token: Token) -> None:
    info = await token.describe()
    assert (info.label, info.model) == ("test", "SoftHSM v2")
    assert len(info.serial) == 16
    assert {"ECDSA", "SHA256_RSA_PKCS"} <= set(info.mechanisms)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "rsa-3072"])
async def test_a_key_signs_what_its_public_half_verifies(token: Token, algorithm: str) -> None:
    key = await token.create("release", algorithm)
    assert (key.label, key.algorithm, len(key.id)) == ("release", algorithm, 32)
    assert algorithm_of(key.spki) == algorithm
    for message in (b"", b"message", os.urandom(100_000)):
        assert verifies(key.spki, message, await token.sign(key, message, deadline=10))
        as_jose = await token.sign(key, message, deadline=10, scheme="jose")
        assert verifies(key.spki, message, as_jose, "jose")
        assert not verifies(key.spki, message, as_jose)


async def test_a_key_can_only_sign_and_never_leave(key: KeyInfo) -> None:
    assert key.attributes == {
        "SENSITIVE": True, "EXTRACTABLE": False, "ALWAYS_SENSITIVE": True, "NEVER_EXTRACTABLE": True, "LOCAL": True,
        "PRIVATE": True, "SIGN": True, "DECRYPT": False, "UNWRAP": False, "DERIVE": False, "MODIFIABLE": False,
        "COPYABLE": False, "DESTROYABLE": True,
    }  # fmt: skip


async def test_keys_outlive_the_session(token: Token, key: KeyInfo, soft: SoftToken) -> None:
    other = await token.create("attestation", "ecdsa-p384")
    async with await Token.open(soft.settings) as again:
        assert {k.id for k in await again.keys()} == {key.id, other.id}
        assert await again.key("release") == key
        serial = (await again.describe()).serial
    async with await Token.open(soft.with_(label=None, serial=serial)) as by_serial:
        assert await by_serial.key("attestation") == other


async def test_labels_are_taken_once(token: Token, key: KeyInfo) -> None:
    with pytest.raises(KeyExists, match="'release' already"):
        await token.create("release", "rsa-3072")
    assert len(await token.keys()) == 1


async def test_a_key_that_is_not_there_names_those_that_are(token: Token, key: KeyInfo) -> None:
    with pytest.raises(KeyMissing, match="'relaese'; its usable keys: 'release'"):
        await token.key("relaese")
    gone = KeyInfo("gone", "00" * 16, key.algorithm, key.spki, key.token_serial, {})
    with pytest.raises(KeyMissing, match="it holds 'release'"):
        await token.sign(gone, b"m", deadline=10)


async def test_two_keys_of_one_label_are_ambiguous(token: Token, key: KeyInfo, soft: SoftToken) -> None:
    await another_tool_makes("release", soft)
    with pytest.raises(KeyAmbiguous, match="'release'"):
        await token.key("release")


async def another_tool_makes(label: str, soft: SoftToken) -> None:
    """A key made by somebody who does not look first."""
    script = (
        "import sys, pkcs11\n"
        "from pkcs11 import Attribute as A, KeyType as K\n"
        "module, label, pin, new = sys.argv[1:]\n"
        "session = pkcs11.lib(module).get_token(token_label=label).open(rw=True, user_pin=pin)\n"
        "curve = {A.EC_PARAMS: bytes.fromhex('06082a8648ce3d030107')}\n"
        "session.create_domain_parameters(K.EC, curve, local=True).generate_keypair(\n"
        "    mechanism=pkcs11.Mechanism.EC_KEY_PAIR_GEN, store=True, label=new, id=b'x')\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, soft.settings.module, "test", PIN, label,
        env={**os.environ, **soft.settings.environment},
    )  # fmt: skip
    assert await process.wait() == 0


async def test_unknown_algorithms_and_empty_labels_are_refused(token: Token) -> None:
    with pytest.raises(MechanismMissing, match="'dsa-1024' is not known"):
        await token.create("release", "dsa-1024")
    nowhere = KeyInfo("k", "00", "ecdsa-p256", b"", "", {})
    with pytest.raises(TokenError, match="at most 8388608 bytes"):
        await token.sign(nowhere, bytes(2**23 + 1), deadline=1)
    with pytest.raises(TokenError, match="needs a label"):
        await token.create("", "ecdsa-p256")


async def test_a_wrong_pin_label_or_module(soft: SoftToken) -> None:
    with pytest.raises(PinRefused, match="'test' refused the PIN"):
        await Token.open(soft.with_(pin="0000"))
    with pytest.raises(TokenNotFound, match=r"tokens of label 'tset'; it shows 'test' \(serial"):
        await Token.open(soft.with_(label="tset"))
    with pytest.raises(ModuleMissing, match=r"/nowhere\.so cannot be loaded"):
        await Token.open(soft.with_(module="/nowhere.so"))


async def test_two_hundred_at_once(token: Token, key: KeyInfo) -> None:
    messages = [os.urandom(40) for _ in range(200)]
    signatures = await asyncio.gather(*(token.sign(key, message, deadline=30) for message in messages))
    assert all(verifies(key.spki, m, s) for m, s in zip(messages, signatures, strict=True))
    stats = token.stats
    assert (stats.busy, stats.queued, stats.restarts) == (0, 0, 0)


async def test_all_children_killed_while_idle(token: Token, key: KeyInfo) -> None:
    for pid in token.pids:
        os.kill(pid, signal.SIGKILL)
    signatures = await asyncio.gather(*(token.sign(key, b"m", deadline=10) for _ in range(10)))
    assert all(verifies(key.spki, b"m", signature) for signature in signatures)


async def test_eight_processes_at_once(key: KeyInfo, soft: SoftToken) -> None:
    tokens = await asyncio.gather(*(Token.open(soft.with_(sessions=1)) for _ in range(8)))
    try:
        signatures = await asyncio.gather(*(token.sign(key, b"m", deadline=10) for token in tokens))
    finally:
        await asyncio.gather(*(token.close() for token in tokens))
    assert all(verifies(key.spki, b"m", signature) for signature in signatures)


async def test_one_label_asked_for_twice_at_once_makes_one_key(token: Token) -> None:
    outcomes = await asyncio.gather(*(token.create("release", "rsa-3072") for _ in range(2)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeyExists", "KeyInfo"]
    assert len(await token.keys()) == 1


async def test_an_existing_token_is_never_overwritten(tmp_path: Path) -> None:
    fresh_token(tmp_path, "one")
    with pytest.raises(KeyExists, match="holds a token 'one' already"):
        initialise_softhsm(tmp_path, "one", "other-pin", "other-so-pin")
    second = fresh_token(tmp_path, "two")
    assert second.settings.environment == softhsm_environment(tmp_path)
    for label in ("one", "two"):
        async with await Token.open(second.with_(label=label)) as token:
            assert (await token.describe()).label == label


async def test_a_token_that_has_no_pin_yet_is_finished(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="C_InitPIN"):
        initialise_softhsm(tmp_path, "half", "abc", SO_PIN)  # refused: as if it had been killed there
    with pytest.raises(TokenError, match="C_Login"):
        initialise_softhsm(tmp_path, "half", PIN, SO_PIN + "x")
    extra = initialise_softhsm(tmp_path, "half", PIN, SO_PIN)
    settings = TokenSettings(module=find_softhsm(), label="half", pin=PIN, environment=extra)
    async with await Token.open(settings) as token:
        assert (await token.describe()).label == "half"
    with pytest.raises(KeyExists):
        initialise_softhsm(tmp_path, "half", PIN, SO_PIN)
    assert len([*(tmp_path / "tokens").iterdir()]) == 1


def test_a_softhsm_directory_is_its_owners_only(tmp_path: Path) -> None:
    directory = tmp_path / "token"
    initialise_softhsm(directory, "a" * 32, PIN, SO_PIN)
    for path in (directory, directory / "tokens"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with pytest.raises(TokenError, match="has 33"):
        initialise_softhsm(directory, "a" * 33, PIN, SO_PIN)


def test_a_pin_that_softhsm_refuses_is_an_error_that_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="C_InitPIN") as caught:
        initialise_softhsm(tmp_path, "short", "abc", SO_PIN)
    assert "abc" not in str(caught.value)
