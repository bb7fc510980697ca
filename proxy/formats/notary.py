"""The content of a Notary Project signature, in either envelope (notaryproject "Signature Specification" v1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.formats.statement import REFERENCE
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, parse_digest
from proxy.oci.strict_json import loads

ARTIFACT_TYPE = "application/vnd.cncf.notary.signature"
PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"
SCHEME, X509 = "io.cncf.notary.signingScheme", "notary.x509"
SIGNED_AT = "io.cncf.notary.signingTime"
EXPIRY = "io.cncf.notary.expiry"
TIMESTAMP = "io.cncf.notary.timestampSignature"
AGENT = "io.cncf.notary.signingAgent"
# Headers that a signer may mark critical. Plugins and the signing authority's scheme are not supported.
CRITICAL = frozenset({SCHEME, EXPIRY})


@dataclass(frozen=True)
class Envelope:
    """One parsed envelope. `signed` are the exact bytes that `signature` (raw, as in JOSE) covers.

    `chain` (DER, leaf to root) and `timestamp` (an RFC 3161 token, empty without) are not covered by the signature.
    `algorithm` is what the envelope claims, by its JOSE name.
    """

    algorithm: str
    payload: bytes
    signed: bytes
    signature: bytes
    chain: tuple[bytes, ...]
    signed_at: datetime
    expires: datetime | None
    timestamp: bytes = b""


@dataclass(frozen=True)
class Payload:
    """The signed content: a digest, and the annotations about it."""

    digest: Digest
    annotations: Mapping[str, str]

    @property
    def reference(self) -> str | None:
        """Return the name this is bound to, if its signer bound it to one."""
        return self.annotations.get(REFERENCE)

    @property
    def claims(self) -> dict[str, str]:
        """Return the claims besides that name."""
        return {k: v for k, v in self.annotations.items() if k != REFERENCE}


def render_payload(subject: Descriptor, bound: str, claims: Mapping[str, str]) -> bytes:
    """Return the payload about this image; the bound name and the claims are annotations of the target."""
    target = {
        "mediaType": subject.media_type,
        "digest": subject.digest,
        "size": subject.size,
        "annotations": {REFERENCE: bound, **claims},
    }
    return json.dumps({"targetArtifact": target}, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def parse_payload(data: bytes) -> Payload:
    """Return the payload. Raises ValueError unless the bytes have completely and exactly this shape."""
    value = strict_object(data, "payload")
    target = value.get("targetArtifact")
    if value.keys() != {"targetArtifact"} or not isinstance(target, dict):
        raise ValueError("not a Notary payload: it must hold a targetArtifact and nothing else")
    need = {"mediaType", "digest", "size"}
    if not need <= target.keys() <= need | {"annotations"}:
        raise ValueError("the targetArtifact of the payload is of an unknown shape")
    kind, digest, size = target["mediaType"], target["digest"], target["size"]
    if not isinstance(kind, str) or not isinstance(digest, str) or type(size) is not int or size < 0:
        raise ValueError("fields of the targetArtifact are of the wrong JSON type")
    annotations = target.get("annotations", {})
    if not isinstance(annotations, dict) or not all(isinstance(each, str) for each in annotations.values()):
        raise ValueError("annotations of the targetArtifact are of an unknown shape")
    try:
        return Payload(parse_digest(digest), annotations)
    except Fault as error:
        raise ValueError(f"payload: {error.message}") from error


def strict_object(data: bytes, what: str) -> dict[str, object]:
    """Return the JSON object in these bytes. Raises ValueError for anything else, and for ambiguous JSON."""
    try:
        value = loads(data, Limits.json_depth)
    except Corrupt as error:
        raise ValueError(f"{what} is not strict JSON: {error.what}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")
    return value


def check_critical(critical: object, protected: Mapping[str, object]) -> None:
    """Raise ValueError unless every required header is marked critical, and no header that is not understood."""
    if not isinstance(critical, list) or not critical:
        raise ValueError("no critical headers are listed, where the signing scheme must be")
    if not all(isinstance(each, str) for each in critical) or len(set(critical)) != len(critical):
        raise ValueError("the list of critical headers is of an unknown shape")
    if unknown := [each for each in critical if each not in CRITICAL or each not in protected]:
        raise ValueError(f"a critical header that is not understood here or missing: {unknown[0][:80]!a}")
    if missing := [each for each in sorted(CRITICAL & protected.keys()) if each not in critical]:
        raise ValueError(f"{missing[0]} must be marked critical")
