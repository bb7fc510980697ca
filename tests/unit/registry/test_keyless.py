"""Which bundles are asked about, and of whom."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Unavailable
from proxy.oci.reference import parse_digest
from proxy.registry.keyless import by_certificate
from proxy.trust.authority import KeylessResult, KeylessSigner
from proxy.trust.evidence import Rejected, Verified
from proxy.trust.reason import Reason
from tests.worlds.sigstore import IDENTITY, Sigstore, attested, layer_of_bundle, signer_of, statement_of
from tests.worlds.softkey import soft_key

DIGEST = parse_digest("sha256:" + "ab" * 32)
WORLD = Sigstore()
CI, PARTNER = signer_of(WORLD), signer_of(Sigstore(), "partner")
LAYER = layer_of_bundle(WORLD.bundle(DIGEST))


class Told:
    """Vouches for the signers it is told to; `request` has the names of those it was asked about."""

    def __init__(self, *vouching: str) -> None:
        self.vouching, self.asked = vouching, list[str]()

    async def examine(self, _bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
        self.asked.append(signer.name)
        if signer.name in self.vouching:
            return KeylessResult(IDENTITY, "application/vnd.in-toto+json", statement_of(DIGEST))
        return Rejected(Reason.UNTRUSTED_KEY, "sigstore-bundle", f"not for {signer.name}")


class Silent:
    async def examine(self, _bundle: bytes, _signer: KeylessSigner) -> KeylessResult | Rejected:
        raise Unavailable("no answer")


async def test_each_signer_that_vouches_is_a_finding() -> None:
    told = Told("ci")
    found = await by_certificate(LAYER, DIGEST, (PARTNER, CI), told)
    assert found is not None
    assert [f.fingerprint for f in found if isinstance(f, Verified)] == [CI.fingerprint(IDENTITY)]
    assert told.asked == ["partner", "ci"]


async def test_where_none_vouches_there_is_one_rejection() -> None:
    found = await by_certificate(LAYER, DIGEST, (PARTNER, CI), Told())
    assert found == (Rejected(Reason.UNTRUSTED_KEY, "sigstore-bundle", "not for partner"),)


async def test_nobody_is_asked_about_what_cannot_be_a_signature_of_this_image() -> None:
    told = Told("ci")
    unfit = layer_of_bundle(WORLD.bundle(DIGEST, payload=attested(DIGEST)))
    found = await by_certificate(unfit, DIGEST, (CI,), told)
    assert found is not None
    assert isinstance(found[0], Rejected)
    assert await by_certificate(soft_key().layer("sigstore-bundle", DIGEST), DIGEST, (CI,), told) is None
    assert await by_certificate(LAYER, DIGEST, (), told) is None
    assert told.asked == []


async def test_silence_is_not_a_rejection() -> None:
    with pytest.raises(Unavailable):
        await by_certificate(LAYER, DIGEST, (CI,), Silent())
