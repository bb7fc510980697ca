"""Sigstore bundles around an in-toto statement in a DSSE envelope, as cosign 3 writes (protobuf-specs, "Bundle")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from proxy.formats import dsse, statement
from proxy.formats.algorithms import signer_of, to_base64
from proxy.formats.format import Blob, Draft, Layer, Scheme, Signing, other_algorithm
from proxy.oci.faults import Corrupt
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest
from proxy.oci.strict_json import loads
from proxy.trust.authority import Authority
from proxy.trust.evidence import Rejected, SignatureCheck, Verified
from proxy.trust.keys import Verifier
from proxy.trust.reason import Reason

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
OLDER = frozenset(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2, 3))
MEDIA_TYPES = frozenset({MEDIA_TYPE}) | OLDER
# Fields of the messages in protobuf JSON; any other key disqualifies the whole bundle.
TOP = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"})
KEY, CERTIFICATES = "publicKey", frozenset({"certificate", "x509CertificateChain"})
MATERIAL = frozenset({KEY, "tlogEntries", "timestampVerificationData"}) | CERTIFICATES
# The annotations that cosign writes on the manifest around the bundle.
ABOUT = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": statement.IMAGE_SIGNATURE,
}
KEYLESS = "keyless signature (a certificate), which is not configured"


@dataclass(frozen=True)
class Bundle:
    """One parsed bundle. `hint` is None if it has a certificate instead of a key."""

    hint: str | None
    envelope: dsse.Envelope
    statement: statement.Statement


def hint_of(spki: bytes) -> str:
    """Return the hint cosign gives for this key: base64 of the SHA-256 of its DER SubjectPublicKeyInfo."""
    return to_base64(hashlib.sha256(spki).digest())


def parse(data: bytes) -> Bundle:
    """Return the bundle. Raises ValueError unless the bytes have completely and exactly this shape."""
    return _read(*_opened(data))


def _opened(data: bytes) -> tuple[str | None, dsse.Envelope]:
    """Return the hint and the envelope, whose content is not examined. Raises ValueError."""
    try:
        value = loads(data, Limits.json_depth)
    except Corrupt as error:
        raise ValueError(f"bundle is not strict JSON: {error.what}") from error
    if not isinstance(value, dict) or value.keys() != TOP:
        raise ValueError("not a sigstore bundle with a DSSE envelope")
    if not isinstance(value["mediaType"], str) or value["mediaType"] not in MEDIA_TYPES:
        raise ValueError("a sigstore bundle of a version we do not know")
    return _hint(value["verificationMaterial"]), dsse.parse(value["dsseEnvelope"])


def _read(hint: str | None, envelope: dsse.Envelope) -> Bundle:
    if envelope.payload_type != dsse.IN_TOTO:
        raise ValueError("the envelope holds something else than an in-toto statement")
    return Bundle(hint, envelope, statement.parse(envelope.payload))


def _hint(material: object) -> str | None:
    """Return the hint of the key, None for a certificate. Raises ValueError unless it is one of the two."""
    if not isinstance(material, dict) or not material.keys() <= MATERIAL:
        raise ValueError("verification material of an unknown shape")
    if len(material.keys() & (CERTIFICATES | {KEY})) != 1:
        raise ValueError("verification material must hold a key or a certificate, not both")
    entries, stamps = material.get("tlogEntries", []), material.get("timestampVerificationData", {})
    if not isinstance(entries, list) or not isinstance(stamps, dict | None):
        raise ValueError("log entries or timestamps of an unknown shape")
    if KEY not in material:
        return None
    key = material[KEY]
    hint = key.get("hint", "") if isinstance(key, dict) and key.keys() <= {"hint"} else None
    if not isinstance(hint, str):
        raise ValueError("the public key of the bundle is of an unknown shape")
    return hint


def _inert(text: str) -> str:
    """Return foreign text in a form safe to show: short, ASCII, without control characters."""
    return ascii(text[:80])[1:-1]


class SigstoreBundle:
    """The format `sigstore-bundle`; see `proxy.formats.format.Format`."""

    name = "sigstore-bundle"
    scheme: Scheme = "pkix"
    media_types = MEDIA_TYPES
    artifact_types = MEDIA_TYPES
    certified = False

    def draft(
        self,
        subject: Descriptor,
        bound: str,
        claims: Mapping[str, str],
        by: Signing,  # noqa: ARG002  # the message names no key
        at: datetime,  # noqa: ARG002  # and no time but a claim
    ) -> Draft:
        """Return the pre-authentication encoding of the statement about this subject."""
        if statement.REFERENCE in claims:
            raise ValueError(f"a claim cannot be called {statement.REFERENCE}")
        payload = statement.render(subject.digest, bound, claims)
        return Draft(self.name, bound, dsse.pae(dsse.IN_TOTO, payload), dict(claims))

    def blob(self, message: bytes, signature: bytes, by: Signing) -> Blob:
        """Return the bundle around the message of a draft. Raises ValueError for any other message."""
        bundle = {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint_of(by.spki)}},
            "dsseEnvelope": dsse.render(dsse.Envelope(dsse.IN_TOTO, dsse.payload_of(message), signature)),
        }
        return Blob(MEDIA_TYPE, json.dumps(bundle, separators=(",", ":")).encode(), {}, MEDIA_TYPE, about=ABOUT)

    def parses(self, layer: Layer) -> bool:
        """True for any bundle around one in-toto statement: attestations are carried just like signatures."""
        try:
            parse(layer.data)
        except ValueError:
            return False
        return True

    def subject_of(self, layer: Layer) -> Digest | None:
        """Return the one digest the statement names, or None."""
        try:
            return parse(layer.data).statement.subject
        except ValueError:
            return None

    def examine(
        self,
        layer: Layer,
        subject: Digest,
        keys: Sequence[Verifier],
        authorities: Sequence[Authority] = (),  # noqa: ARG002  # a certificate here is keyless, not Notary
    ) -> tuple[SignatureCheck, ...]:
        """Return the one finding; the statement is trusted only after one of our keys has verified its bytes."""
        try:
            hint, envelope = _opened(layer.data)
        except ValueError as error:
            return (self._no(Reason.BAD_SIGNATURE, str(error)),)
        return (self._examine(hint, envelope, subject, keys),)

    def _examine(
        self, hint: str | None, envelope: dsse.Envelope, subject: Digest, keys: Sequence[Verifier]
    ) -> SignatureCheck:
        # The hint only says which key to try first, and what to tell people: it does not select the key.
        hinted = [k for k in keys if hint_of(k.spki) == hint]
        ordered = [*hinted, *(k for k in keys if k not in hinted)]
        signer = None if hint is None else signer_of(ordered, envelope.signature, envelope.message)
        try:
            said = _read(hint, envelope).statement
        except ValueError as error:
            if signer is None:
                return self._no(Reason.BAD_SIGNATURE, str(error))
            return self._unread(signer.key, str(error))
        if hint is None:
            return self._no(Reason.UNTRUSTED_KEY, KEYLESS)
        if signer is None:
            if hinted:
                return self._no(Reason.BAD_SIGNATURE, f"does not verify with the key it names ({hinted[0].name})")
            if said.predicate_type != statement.IMAGE_SIGNATURE:
                # Accepted without a signature because this only removes trust: it does not claim that anyone signed.
                return self._no(Reason.UNSIGNED, f"an attestation ({_inert(said.predicate_type)}), not a signature")
            return self._no(Reason.UNTRUSTED_KEY, "verifies with none of the keys we know")
        if said.predicate_type != statement.IMAGE_SIGNATURE:
            return self._unread(signer.key, f"an attestation ({_inert(said.predicate_type)})")
        if len(said.subjects) != 1:
            return self._no(Reason.WRONG_SUBJECT, f"the statement has {len(said.subjects)} subjects instead of one")
        if said.subject != subject:
            return self._no(Reason.WRONG_SUBJECT, f"the signed statement is about {said.subject or 'no digest'}")
        if signer.otherwise:
            return other_algorithm(self.name, signer)
        return Verified(signer.key.fingerprint, self.name, said.reference, said.claims)

    def _unread(self, key: Verifier, what: str) -> Rejected:
        return Rejected(Reason.UNREAD_PAYLOAD, self.name, f"{key.name} signed it: {what}", key.fingerprint)

    def _no(self, reason: Reason, detail: str) -> Rejected:
        return Rejected(reason, self.name, detail)


BUNDLE = SigstoreBundle()
