"""Real timestamp authorities: what they answer verifies, and nothing else does."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.formats import timestamp
from proxy.formats.format import Signing
from proxy.formats.identity import parse_subject
from proxy.formats.table import FORMATS
from proxy.oci.reference import digest_of
from proxy.trust.authority import Authority as CertificateAuthority
from proxy.trust.evidence import Verified
from proxy.trust.reason import Reason
from proxy.trust.signatures import vouched_for
from proxy.upstream.outbound import Outbound
from tests.interop.timestamps import Authority, openssl_authority, sigstore_authority
from tests.worlds.certificates import chain_of, trio
from tests.worlds.softkey import about, layer_of, soft_key

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


DAY = timedelta(days=1)
LATER = datetime(2040, 1, 1, tzinfo=UTC)
IMAGE = digest_of(b"image")


@pytest.mark.parametrize("form", ["notation-jws", "notation-cose"])
async def test_a_signature_proven_to_be_older_outlives_its_certificate_where_its_witness_is_trusted(
    authority: Authority, form: str
) -> None:
    now = datetime.now(UTC)
    key = soft_key()
    leaf, middle, root = (replace(h, first=now - DAY, last=now + DAY) for h in trio(key.private))
    key = replace(key, chain=chain_of(leaf, middle, root))
    by = Signing(key.spki, key.chain)
    draft = FORMATS[form].draft(about(IMAGE), "r.example/app", {}, by, now)
    signature = key.sign(draft.message, "jose")
    request = timestamp.request(signature)
    token = timestamp.token_of(await asked(authority, request), request, signature, authority.roots)
    layer = layer_of(FORMATS[form].blob(draft.message, signature, Signing(key.spki, key.chain, token)))

    def said(*, when: datetime, **trust: object) -> object:
        whom = (parse_subject("O=Example"),)
        ca = CertificateAuthority("ca", frozenset(key.chain[-1:]), whom, **trust)  # type: ignore[arg-type]
        (finding,) = FORMATS[form].examine(layer, IMAGE, [], [ca])
        assert isinstance(finding, Verified)
        (counted,) = [found for _, found in vouched_for([finding], [ca], (), when)]
        return counted

    witness = frozenset(authority.roots)
    assert isinstance(said(when=LATER, tsa_roots=witness), Verified)
    assert said(when=LATER) == Reason.CERTIFICATE_EXPIRED
    assert said(when=LATER, tsa_roots=frozenset(key.chain[-1:])) == Reason.CERTIFICATE_EXPIRED, "another's witness"
    assert isinstance(said(when=now), Verified)
