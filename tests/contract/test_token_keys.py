"""Keys of a real SoftHSM: destroyed as a whole, and made certificates of."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from hsm import KeyInfo, KeyMissing, Token, TokenError
from tests.contract.test_token import another_tool_makes
from tests.worlds.softhsm import SoftToken, fresh_token, softhsm_missing

pytestmark = [pytest.mark.real, pytest.mark.skipif(softhsm_missing(), reason="needs SoftHSM")]
SUBJECT = "CN=release,O=Example,ST=BE,C=DE"


@pytest.fixture
def soft(tmp_path: Path) -> SoftToken:
    return fresh_token(tmp_path / "token")


@pytest.fixture
async def token(soft: SoftToken) -> AsyncIterator[Token]:
    async with await Token.open(soft.settings) as opened:
        yield opened


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "rsa-3072"])
async def test_a_destroyed_key_is_gone_for_every_session(token: Token, algorithm: str) -> None:
    key, other = await token.create("release", algorithm), await token.create("other", "ecdsa-p256")
    assert await token.destroy(key)
    assert await token.keys() == (other,)
    for _ in range(4):  # sessions that had found it before, too
        with pytest.raises(TokenError):
            await token.sign(key, b"m", deadline=10)
    assert not await token.destroy(key)
    again = await token.create("release", "ecdsa-p256")  # no object of that label is left
    assert again.spki != key.spki


async def test_what_is_not_that_key_is_not_destroyed(token: Token, soft: SoftToken) -> None:
    key, other = await token.create("release", "ecdsa-p256"), await token.create("other", "ecdsa-p256")
    with pytest.raises(TokenError, match="is not the one of that public key"):
        await token.destroy(replace(key, id=other.id))
    with pytest.raises(KeyMissing, match="the key is on 0000; nothing was destroyed"):
        await token.destroy(replace(key, token_serial="0000"))
    await another_tool_makes("release", soft)
    assert await token.destroy(key)
    assert {k.label for k in await token.keys()} == {"other", "release"}


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "rsa-3072"])
async def test_a_certificate_request_that_openssl_accepts(token: Token, tmp_path: Path, algorithm: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    key = await token.create("release", algorithm)
    request, certificate = tmp_path / "csr.der", tmp_path / "self.der"
    request.write_bytes(await token.csr(key, SUBJECT))
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
    certificate.write_bytes(await token.self_signed(key, SUBJECT, start, end))
    said = openssl("req", "-verify", "-noout", "-subject", "-inform", "DER", "-in", str(request))
    assert "CN" in said
    assert "Example" in said
    pem = tmp_path / "self.pem"
    openssl("x509", "-inform", "DER", "-in", str(certificate), "-out", str(pem))
    openssl("verify", "-check_ss_sig", "-CAfile", str(pem), str(pem))
    made = x509.load_der_x509_certificate(certificate.read_bytes())
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (start, end)


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


async def test_subjects_and_times_that_are_none_are_refused(token: Token) -> None:
    key = KeyInfo("release", "01", "ecdsa-p256", b"", "", {})
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(TokenError, match="'release' is no subject"):
        await token.csr(key, "release")
    with pytest.raises(TokenError, match="cannot end"):
        await token.self_signed(key, SUBJECT, moment, moment)
