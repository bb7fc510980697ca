"""Real timestamp authorities: what they answer verifies, and nothing else does."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.formats import timestamp
from proxy.outbound.client import Outbound
from tests.interop.timestamps import Authority, openssl_authority, sigstore_authority

Start = Callable[[Path], AbstractContextManager[Authority]]
SIGNATURE = b"a signature is just bytes to a timestamp authority"


@pytest.fixture(scope="module", params=[openssl_authority, sigstore_authority])
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    start: Start = request.param
    with start(tmp_path_factory.mktemp("tsa")) as running:
        yield running


async def asked(authority: Authority, request: timestamp.Request) -> bytes:
    outbound = Outbound({authority.host})
    kinds = (timestamp.REQUEST_TYPE, timestamp.REPLY_TYPE)
    try:
        return await outbound.post(authority.url, request.body, kinds, limit=timestamp.TOKEN_BYTES, seconds=10)
    finally:
        await outbound.close()


async def test_a_token_of_a_real_authority_says_when_the_signature_existed(authority: Authority) -> None:
    request = timestamp.request(SIGNATURE)
    before = datetime.now(UTC) - timedelta(seconds=2)
    token = timestamp.token_of(await asked(authority, request), request, SIGNATURE, authority.roots)
    stamp = timestamp.verify(token, SIGNATURE, authority.roots)
    assert before < stamp.earliest <= stamp.latest < datetime.now(UTC) + timedelta(seconds=2)


async def test_a_token_holds_for_its_signature_its_question_and_its_authority_alone(
    authority: Authority, tmp_path: Path
) -> None:
    request, other = timestamp.request(SIGNATURE), timestamp.request(SIGNATURE)
    reply = await asked(authority, request)
    with pytest.raises(ValueError, match="Mismatch between messages"):
        timestamp.token_of(reply, request, b"another", authority.roots)
    with pytest.raises(ValueError, match="Nonce mismatch"):
        timestamp.token_of(reply, other, SIGNATURE, authority.roots)
    with openssl_authority(tmp_path / "stranger") as stranger, pytest.raises(ValueError, match="does not verify"):
        timestamp.token_of(reply, request, SIGNATURE, stranger.roots)
