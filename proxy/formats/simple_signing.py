"""cosign's "simple signing": a small JSON payload as a layer, its signature in an annotation of that layer.

Every cosign, podman, CRI-O and most admission controllers read it (containers/image docs, "containers-signature.5").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from proxy.formats.algorithms import from_base64, is_plausible, signer_of, to_base64
from proxy.formats.format import Blob, Draft, Layer, Scheme, Signing, other_algorithm
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, parse_digest
from proxy.oci.strict_json import loads
from proxy.trust.authority import Authority
from proxy.trust.evidence import Rejected, SignatureCheck, Verified
from proxy.trust.keys import Verifier
from proxy.trust.reason import Reason

MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
TYPE = "cosign container image signature"
TEKTON = "Tekton container signature"
KEYLESS = "keyless, in cosign 2's form: it lacks the proof that the log includes it; sign with cosign 3, which adds it"
# containers/image requires a string and an integer under these; our claims are strings under other names.
TAKEN = frozenset({"creator", "timestamp"})


@dataclass(frozen=True)
class Payload:
    """The content of one payload: the digest, its name, and the claims that are text.

    `foreign` says what the payload is if it is not one of cosign's: it is then carried, and never counts.
    """

    digest: Digest
    reference: str
    claims: Mapping[str, str]
    foreign: str = ""


# The field names: cosign's, and those of Tekton Chains (pkg/chains/formats/simple), which differ in case.
_FIELDS = ("critical", "optional", "identity", "image", "type", "docker-reference", "docker-manifest-digest")
_TEKTON_FIELDS = ("Critical", "Optional", "Identity", "Image", "Type", "docker-reference", "Docker-manifest-digest")


def parse(data: bytes) -> Payload:
    """Return the payload. Raises ValueError unless the bytes have completely and exactly cosign's shape."""
    payload = parse_carried(data)
    if payload.foreign:
        raise ValueError(f"payload is {payload.foreign}, not a cosign image signature")
    return payload


def parse_carried(data: bytes) -> Payload:
    """Return the payload, including those other tools store beside cosign's, which are not image signatures here.

    Raises ValueError unless the bytes have completely and exactly one of these shapes.
    """
    try:
        value = loads(data, Limits.json_depth)
    except Corrupt as error:
        raise ValueError(f"payload is not strict JSON: {error.what}") from error
    theirs = isinstance(value, dict) and "Critical" in value
    critical_key, optional_key, identity, image, type_, named, digest_key = _TEKTON_FIELDS if theirs else _FIELDS
    without = isinstance(value, dict) and optional_key not in value
    top = _object(value, {critical_key} if without else {critical_key, optional_key})
    critical = _object(top[critical_key], {identity, image, type_})
    reference = _object(critical[identity], {named})[named]
    digest = _object(critical[image], {digest_key})[digest_key]
    optional = {} if top.get(optional_key) is None else top[optional_key]
    if critical[type_] not in {TYPE, TEKTON}:
        raise ValueError("payload is of another type than a cosign image signature")
    if not isinstance(reference, str) or not isinstance(digest, str) or not isinstance(optional, dict):
        raise ValueError("payload fields are of the wrong JSON type")
    try:
        parsed = parse_digest(digest)
    except Fault as error:
        raise ValueError(f"payload: {error.message}") from error
    foreign = "without `optional`" if without else ""
    if theirs or critical[type_] == TEKTON:
        foreign = "of Tekton Chains"
    return Payload(parsed, reference, {k: v for k, v in optional.items() if isinstance(v, str)}, foreign)


def _object(value: object, keys: set[str]) -> dict[str, object]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise ValueError(f"payload: expected an object with exactly {', '.join(sorted(keys))}")
    return value


class SimpleSigning:
    """The format `cosign-simple`; see `proxy.formats.format.Format`."""

    name = "cosign-simple"
    scheme: Scheme = "pkix"
    media_types = frozenset({MEDIA_TYPE})
    artifact_types = media_types
    certified = False

    def draft(
        self,
        subject: Descriptor,
        bound: str,
        claims: Mapping[str, str],
        by: Signing,  # noqa: ARG002  # the message names no key
        at: datetime,  # noqa: ARG002  # and no time but a claim
    ) -> Draft:
        """Return the payload to sign, with the keys in the order cosign writes them."""
        if clash := TAKEN & claims.keys():
            raise ValueError(f"claims called {', '.join(sorted(clash))} would be refused by containers/image")
        payload = {
            "critical": {
                "identity": {"docker-reference": bound},
                "image": {"docker-manifest-digest": subject.digest},
                "type": TYPE,
            },
            "optional": dict(claims) or None,
        }
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        return Draft(self.name, bound, text.encode("utf-8", "replace"), dict(claims))

    def blob(self, message: bytes, signature: bytes, by: Signing) -> Blob:  # noqa: ARG002  # names no key
        """Return the layer: the message itself, with the signature in an annotation."""
        return Blob(MEDIA_TYPE, message, {SIGNATURE: to_base64(signature)})

    def parses(self, layer: Layer) -> bool:
        """True when the payload has exactly a known shape and a signature is beside it.

        A payload that only other tools read is carried too, so that a list of signatures with it can be fetched.
        """
        try:
            parse_carried(layer.data)
        except ValueError:
            return False
        return bool(from_base64(layer.descriptor.annotations.get(SIGNATURE)))

    def subject_of(self, layer: Layer) -> Digest | None:
        """Return the digest the payload names, or None."""
        try:
            return parse_carried(layer.data).digest
        except ValueError:
            return None

    def examine(
        self,
        layer: Layer,
        subject: Digest,
        keys: Sequence[Verifier],
        authorities: Sequence[Authority] = (),  # noqa: ARG002  # carries no certificates that count
    ) -> tuple[SignatureCheck, ...]:
        """Return the one finding; the payload is read only after one of our keys has verified its bytes."""
        return (self._examine(layer, subject, keys),)

    def _examine(self, layer: Layer, subject: Digest, keys: Sequence[Verifier]) -> SignatureCheck:
        signature = from_base64(layer.descriptor.annotations.get(SIGNATURE))
        if not signature:
            return self._no(Reason.BAD_SIGNATURE, f"annotation {SIGNATURE} is missing or not canonical base64")
        signer = signer_of(keys, signature, layer.data)
        if signer is None:
            return self._of_nobody(layer, signature)
        try:
            payload = parse(layer.data)
        except ValueError as error:
            said = f"{signer.key.name} signed it: {error}"
            return Rejected(Reason.UNREAD_PAYLOAD, self.name, said, signer.key.fingerprint)
        if payload.digest != subject:
            return self._no(Reason.WRONG_SUBJECT, f"the signed payload is about {payload.digest}")
        if signer.otherwise:
            return other_algorithm(self.name, signer)
        return Verified(signer.key.fingerprint, self.name, payload.reference, payload.claims)

    def _of_nobody(self, layer: Layer, signature: bytes) -> Rejected:
        """Return the rejection of a signature by an unknown key."""
        try:
            parse_carried(layer.data)
        except ValueError as error:
            return self._no(Reason.BAD_SIGNATURE, str(error))
        if not is_plausible(signature):
            return self._no(Reason.BAD_SIGNATURE, "the signature is neither DER of (r, s) nor of RSA length")
        if CERTIFICATE in layer.descriptor.annotations:
            return self._no(Reason.UNTRUSTED_KEY, KEYLESS)
        return self._no(Reason.UNTRUSTED_KEY, "verifies with none of the keys we know")

    def _no(self, reason: Reason, detail: str) -> Rejected:
        return Rejected(reason, self.name, detail)


SIMPLE = SimpleSigning()
