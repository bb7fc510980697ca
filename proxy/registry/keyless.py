"""Verify bundles that carry a certificate, against one configured signer after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.formats.format import Layer
from proxy.formats.keyless import finding, unfit, with_certificate
from proxy.oci.reference import Digest
from proxy.trust.authority import KeylessResult, KeylessSigner
from proxy.trust.evidence import Rejected, SignatureCheck


class Keyless(Protocol):
    """Signers identified by a certificate and a transparency log instead of a key."""

    async def examine(self, bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
        """Return the signer's identity in the bundle's certificate and the signed statement, or the rejection.

        Only the signer's own trusted root, issuer and identities count. Raises Unavailable.
        """


async def by_certificate(
    layer: Layer, subject: Digest, signers: Sequence[KeylessSigner], keyless: Keyless
) -> tuple[SignatureCheck, ...] | None:
    """Return a finding for each signer that vouches, or one rejection; None for a layer of another kind.

    Raises Unavailable. The bundle has no influence on which certificate authority, log, issuer or identity counts.
    """
    bundle = with_certificate(layer) if signers else None
    if bundle is None:
        return None
    if (no := unfit(bundle, subject)) is not None:
        return (no,)
    found: list[SignatureCheck] = []
    refused: list[Rejected] = []
    for signer in signers:
        answer = await keyless.examine(layer.data, signer)
        if isinstance(answer, Rejected):
            refused.append(answer)
        else:
            found.append(finding(bundle, signer, answer))
    return tuple(found) if found else tuple(refused[:1])
