"""A key in software that signs as the token would, and layers signed with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.formats.format import Blob, Layer, Scheme, Signing
from proxy.formats.table import FORMATS
from proxy.oci.manifest import OCI_MANIFEST, Descriptor
from proxy.oci.reference import Digest, digest_of
from proxy.trust.keys import Verifier, fingerprint

MADE = datetime(2026, 6, 1, 12, tzinfo=UTC)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_JOSE: Mapping[int, HashAlgorithm] = {
    256: SHA256(), 384: SHA384(), 521: SHA512(), 2048: SHA256(), 3072: SHA384(), 4096: SHA512(),
}  # fmt: skip
MAKERS: Mapping[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass(frozen=True)
class SoftKey:
    """A private key and the name policies know it by."""

    private: PrivateKey
    name: str = "release"
    chain: tuple[bytes, ...] = ()

    @property
    def spki(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def verifier(self) -> Verifier:
        return Verifier(fingerprint(self.spki), self.spki, self.name, "repository", True)

    def sign(self, message: bytes, scheme: Scheme = "pkix") -> bytes:
        """A signature as `signature` makes it."""
        return signature(self.private, message, scheme)

    @property
    def by(self) -> Signing:
        """The key and its certificates, as formats want them."""
        return Signing(self.spki, self.chain)

    def draft(self, form: str, subject: Digest, bound: str = "r.example/app", **claims: str) -> bytes:
        """The message to sign in that format."""
        return FORMATS[form].draft(about(subject), bound, claims, self._fit(form).by, MADE).message

    def blob(self, form: str, message: bytes, signature: bytes | None = None) -> Blob:
        """The blob around a message, signed by this key unless a signature is given."""
        made = self.sign(message, FORMATS[form].scheme) if signature is None else signature
        return FORMATS[form].blob(message, made, self._fit(form).by)

    def _fit(self, form: str) -> SoftKey:
        """The key, with certificates where the format needs some and it has none."""
        from tests.worlds.certificates import certified

        return self if self.chain or not FORMATS[form].certified else certified(self)

    def layer(self, form: str, subject: Digest, bound: str = "r.example/app", **claims: str) -> Layer:
        """A layer of that format, drafted, signed and packed."""
        return layer_of(self.blob(form, self.draft(form, subject, bound, **claims)))


def signature(private: PrivateKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
    """`pkix`: DER or PKCS#1 v1.5 over SHA-256. `jose`: r||s or PSS over the hash that goes with the key."""
    digest = SHA256() if scheme == "pkix" else _JOSE[private.key_size]
    if isinstance(private, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return private.sign(message, padding.PKCS1v15() if scheme == "pkix" else pss, digest)
    der = private.sign(message, ec.ECDSA(digest))
    size = (private.key_size + 7) // 8
    return der if scheme == "pkix" else b"".join(half.to_bytes(size, "big") for half in decode_dss_signature(der))


def soft_key(kind: str = "p256", name: str = "release") -> SoftKey:
    """A new key of that kind: p256, p384 or rsa."""
    return SoftKey(MAKERS[kind](), name)


def about(subject: Digest) -> Descriptor:
    """A descriptor of an image with this digest."""
    return Descriptor(OCI_MANIFEST, subject, 7)


def layer_of(blob: Blob) -> Layer:
    """The blob as it comes back from a registry."""
    return Layer(Descriptor(blob.media_type, digest_of(blob.data), len(blob.data), blob.annotations), blob.data)


def annotated(layer: Layer, annotations: Mapping[str, str]) -> Layer:
    """The layer with exactly these annotations."""
    return replace(layer, descriptor=replace(layer.descriptor, annotations=annotations))


def rewritten(layer: Layer, data: bytes) -> Layer:
    """The layer with other bytes, its digest and size corrected: what somebody who may push can always do."""
    return Layer(replace(layer.descriptor, digest=digest_of(data), size=len(data)), data)
