"""What a bundle with a certificate must state to be an image's signature; the signer is verified elsewhere."""

from __future__ import annotations

from proxy.formats import dsse, statement
from proxy.formats.bundle import MEDIA_TYPES, Bundle, parse
from proxy.formats.format import Layer
from proxy.oci.reference import Digest
from proxy.trust.authority import KeylessResult, KeylessSigner
from proxy.trust.evidence import Rejected, SignatureCheck, Verified
from proxy.trust.reason import Reason

NAME = "sigstore-bundle"


def with_certificate(layer: Layer) -> Bundle | None:
    """Return the bundle if the layer is one whose signer has a certificate, else None."""
    if layer.descriptor.media_type not in MEDIA_TYPES:
        return None
    try:
        bundle = parse(layer.data)
    except ValueError:
        return None
    return bundle if bundle.hint is None else None


def unfit(bundle: Bundle, subject: Digest) -> Rejected | None:
    """Return why this bundle is no signature of this image, regardless of the signer, or None. This check is cheap."""
    said = bundle.statement
    if said.predicate_type != statement.IMAGE_SIGNATURE:
        return Rejected(Reason.UNSIGNED, NAME, "an attestation, not a signature")
    if said.subject != subject:
        return Rejected(Reason.WRONG_SUBJECT, NAME, f"the statement is about {said.subject or 'no digest, or several'}")
    return None


def finding(bundle: Bundle, signer: KeylessSigner, certified: KeylessResult) -> SignatureCheck:
    """Return the finding on a fit and verified bundle. The verified payload must equal the one read here."""
    if (certified.payload_type, certified.payload) != (dsse.IN_TOTO, bundle.envelope.payload):
        return Rejected(Reason.BAD_SIGNATURE, NAME, "what was signed is not what the bundle was read as")
    claims = {"identity": certified.identity, "issuer": signer.issuer}
    return Verified(signer.fingerprint(certified.identity), NAME, bundle.statement.reference, claims)
