"""The interface of every signature format; one file per format, with the same few names in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from proxy.formats.algorithms import Signer, counting
from proxy.oci.manifest import OCI_EMPTY, Descriptor
from proxy.oci.reference import Digest
from proxy.trust.authority import Authority
from proxy.trust.evidence import LATER_BY, LATER_REASON, Rejected, SignatureCheck
from proxy.trust.keys import Verifier
from proxy.trust.reason import Reason

# The encoding of a key's signature: `pkix` is SHA-256 with DER or PKCS#1 v1.5, `jose` is r||s or PSS with the hash that
# matches the key. Other tools may write more than the first: ADR 0040.
Scheme = Literal["pkix", "jose"]


@dataclass(frozen=True)
class Layer:
    """One layer that carries a signature: its descriptor (with annotations) and its bytes, digest already checked."""

    descriptor: Descriptor
    data: bytes


@dataclass(frozen=True)
class Signing:
    """The signing key (DER SubjectPublicKeyInfo), and its certificates, leaf to root, if it has any.

    `timestamp` is an RFC 3161 token over the signature, if one was obtained.
    """

    spki: bytes
    chain: tuple[bytes, ...] = ()
    timestamp: bytes = b""


@dataclass(frozen=True)
class Draft:
    """A message ready to be signed: the exact bytes the key signs, and what they bind."""

    format: str
    bound: str
    message: bytes
    claims: Mapping[str, str]


@dataclass(frozen=True)
class Blob:
    """Bytes to upload, with the media type and annotations they get in the manifest.

    `artifact_type`, `config_type` and `about` are types and annotations of the manifest, if it is a referrer of the
    image; the config's content is always the empty one.
    """

    media_type: str
    data: bytes
    annotations: Mapping[str, str]
    artifact_type: str = ""
    config_type: str = OCI_EMPTY
    about: Mapping[str, str] = field(default_factory=dict)


class Format(Protocol):
    """One signature format. Pure: bytes in, values out; never raises for bad signatures."""

    @property
    def name(self) -> str:
        """The name in policies, such as `cosign-simple`."""

    @property
    def scheme(self) -> Scheme:
        """The encoding of its signatures."""

    @property
    def media_types(self) -> frozenset[str]:
        """Layer media types this format claims."""

    @property
    def artifact_types(self) -> frozenset[str]:
        """Artifact types of manifests that may carry it as a referrer."""

    @property
    def certified(self) -> bool:
        """True when only a key with certificates can be used."""

    def draft(self, subject: Descriptor, bound: str, claims: Mapping[str, str], by: Signing, at: datetime) -> Draft:
        """Return the message to sign for this subject, bound to HOST/REPO or HOST/REPO:TAG. Raises ValueError."""

    def blob(self, message: bytes, signature: bytes, by: Signing) -> Blob:
        """Return the layer that carries this signature over this message. Raises ValueError for other messages."""

    def parses(self, layer: Layer) -> bool:
        """True when the layer is, strictly and completely, what its media type claims."""

    def subject_of(self, layer: Layer) -> Digest | None:
        """Return the digest the layer says it is about, or None."""

    def examine(
        self, layer: Layer, subject: Digest, keys: Sequence[Verifier], authorities: Sequence[Authority] = ()
    ) -> tuple[SignatureCheck, ...]:
        """Return one finding per signature in the layer; only the given keys and authorities are tried."""


def other_algorithm(form: str, signer: Signer) -> Rejected:
    """Return the rejection of a signature that a known key made in an algorithm that does not count."""
    said = f"{signer.key.name} signed it with {signer.otherwise}; what counts is {counting(signer.key.spki)}"
    return Rejected(Reason.OTHER_ALGORITHM, form, said, signer.key.fingerprint)


def claims_at(claims: Sequence[str], pusher: str, now: datetime) -> dict[str, str]:
    """Return the claims a policy asks for, as text: who pushed, and when (RFC 3339, whole seconds, UTC)."""
    known = {"pusher": pusher, "time": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {name: known[name] for name in claims if name in known}


def claims_later(claims: Sequence[str], by: str, reason: str, now: datetime) -> dict[str, str]:
    """Return the claims of a signature for what was upstream already: who had it signed and why, never a pusher.

    They are there whatever a policy asks for: nobody who reads the signature later may take it for one from a push.
    """
    return {LATER_BY: by, LATER_REASON: reason, **claims_at([name for name in claims if name != "pusher"], "", now)}
