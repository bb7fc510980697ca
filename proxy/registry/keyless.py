"""Bundles with a certificate are asked about, one signer of the configuration after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.formats.format import Layer
from proxy.formats.keyless import finding, unfit, with_certificate
from proxy.oci.reference import Digest
from proxy.trust.evidence import Rejected, SignatureCheck
from proxy.trust.keyless import KeylessResult, KeylessSigner


class Keyless(Protocol):
    """Signers who are known by a certificate and a log instead of by a key."""

    async def examine(self, bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
        """Return whom of the signer's identities the bundle's certificate names, and what was signed, or why not.

        Only the signer's own trusted root, issuer and identities count. Raises Unavailable.
        """


async def by_certificate(
    layer: Layer, subject: Digest, signers: Sequence[KeylessSigner], keyless: Keyless
) -> tuple[SignatureCheck, ...] | None:
    """Return a finding for each signer that vouches, or the one rejection; None where the layer is not of this kind.

    Raises Unavailable. Which certificate authority, log, issuer or identity counts, the bundle has no say in.
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
