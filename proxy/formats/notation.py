"""Notary Project signatures: one payload in two envelopes, JWS and COSE, as `notation` writes and verifies them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from proxy.formats import cose, jws, notary, timestamp
from proxy.formats.certificate import parse_certificate, spki_of, window
from proxy.formats.chain import problems
from proxy.formats.format import Blob, Draft, Layer, Scheme, Signing
from proxy.formats.identity import vouching
from proxy.formats.jose import algorithm_for, otherwise, verifies
from proxy.formats.notary import Envelope
from proxy.formats.revocation import listed
from proxy.formats.statement import REFERENCE
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest
from proxy.trust.authority import Authority
from proxy.trust.evidence import CertifiedChain, Proven, Rejected, SignatureCheck, Verified
from proxy.trust.keys import Verifier, fingerprint
from proxy.trust.reason import Reason


@dataclass(frozen=True)
class Notation:
    """A format of the Notary Project; see `proxy.formats.format.Format`. Only the envelopes differ."""

    name: str
    media_type: str
    _message: Callable[[bytes, bytes, datetime], bytes]
    _render: Callable[[bytes, bytes, Sequence[bytes], bytes], bytes]
    _parse: Callable[[bytes], Envelope]
    scheme: Scheme = "jose"
    artifact_types: frozenset[str] = frozenset({notary.ARTIFACT_TYPE})
    certified: bool = True

    @property
    def media_types(self) -> frozenset[str]:
        """Return the one media type of the envelope."""
        return frozenset({self.media_type})

    def draft(self, subject: Descriptor, bound: str, claims: Mapping[str, str], by: Signing, at: datetime) -> Draft:
        """Return the bytes to sign. Raises ValueError for a key without certificates."""
        if REFERENCE in claims:
            raise ValueError(f"a claim cannot be called {REFERENCE}")
        payload = notary.render_payload(subject, bound, claims)
        return Draft(self.name, bound, self._message(payload, _leaf(by), at), dict(claims))

    def blob(self, message: bytes, signature: bytes, by: Signing) -> Blob:
        """Return the envelope around the message of a draft. Raises ValueError for other messages, or no certificates.

        The manifest that carries it lists the certificates by their hashes.
        """
        _leaf(by)
        thumbprints = [hashlib.sha256(der).hexdigest() for der in by.chain]
        about = {notary.THUMBPRINTS: json.dumps(thumbprints, separators=(",", ":"))}
        data = self._render(message, signature, by.chain, by.timestamp)
        # Typed twice: notation types its own by the config, and some registries list only by config type.
        return Blob(self.media_type, data, {}, notary.ARTIFACT_TYPE, notary.ARTIFACT_TYPE, about)

    def parses(self, layer: Layer) -> bool:
        """True when the envelope and its payload have exactly this shape, with valid certificates."""
        try:
            envelope = self._parse(layer.data)
            notary.parse_payload(envelope.payload)
            window(envelope.chain)
        except ValueError:
            return False
        return True

    def subject_of(self, layer: Layer) -> Digest | None:
        """Return the digest the payload names, or None."""
        try:
            return notary.parse_payload(self._parse(layer.data).payload).digest
        except ValueError:
            return None

    def examine(
        self, layer: Layer, subject: Digest, keys: Sequence[Verifier], authorities: Sequence[Authority] = ()
    ) -> tuple[SignatureCheck, ...]:
        """Return the one finding. The certificate says which key to try, and proves neither the key nor its time.

        The signature counts by a key we know, whatever its certificates say, or by an authority that vouches for a
        chain that satisfies every rule; whether it does at this moment is up to the decision.
        """
        try:
            envelope = self._parse(layer.data)
            spki, valid = spki_of(envelope.chain[0]), window(envelope.chain)
        except ValueError as error:
            return (self._no(Reason.BAD_SIGNATURE, str(error)),)
        return (self._examine(envelope, spki, valid, subject, keys, authorities),)

    def _examine(
        self,
        envelope: Envelope,
        spki: bytes,
        valid: tuple[datetime, datetime],
        subject: Digest,
        keys: Sequence[Verifier],
        authorities: Sequence[Authority],
    ) -> SignatureCheck:
        known = fingerprint(spki) in {key.fingerprint for key in keys}
        broken = problems(envelope.chain)
        vouched = () if broken else vouching(envelope.chain, authorities)
        if not known and not vouched:
            return self._no(Reason.UNTRUSTED_KEY, str(broken[0]) if broken else _STRANGER)
        by = fingerprint(spki) if known and not vouched else ""  # the key to name when it did sign
        if problem := _unsound(envelope):
            how = otherwise(envelope.chain[0], envelope.signature, envelope.signed)
            if how is not None:
                return Rejected(Reason.OTHER_ALGORITHM, self.name, f"signed with {how}: {problem}", by)
            return self._no(Reason.BAD_SIGNATURE, problem)
        try:
            payload = notary.parse_payload(envelope.payload)
        except ValueError as error:
            return Rejected(Reason.UNREAD_PAYLOAD, self.name, str(error), by)
        if payload.digest != subject:
            return self._no(Reason.WRONG_SUBJECT, f"the signed payload is about {payload.digest}")
        certified = CertifiedChain(
            tuple(authority.name for authority in vouched),
            envelope.chain,
            valid,
            envelope.signed_at,
            envelope.expires,
            envelope.timestamp,
            envelope.signature,
            tuple(proof for authority in vouched if (proof := _proven(envelope, authority)) is not None),
            {authority.name: listed(envelope.chain, authority.lists) for authority in vouched if authority.crl},
        )
        return Verified(fingerprint(spki), self.name, payload.reference, payload.claims, certified=certified)

    def _no(self, reason: Reason, detail: str) -> Rejected:
        return Rejected(reason, self.name, detail)


_STRANGER = "its certificate is of no authority and no key we know"


def _proven(envelope: Envelope, authority: Authority) -> Proven | None:
    """Return when the signature existed, by a timestamp authority that counts for this authority, or None.

    A timestamp that proves nothing does not weaken the signature: anyone could have added it.
    """
    if not envelope.timestamp or not authority.tsa_roots:
        return None
    try:
        stamp = timestamp.verify(envelope.timestamp, envelope.signature, authority.tsa_roots)
    except ValueError:
        return None
    return Proven(authority.name, stamp.earliest, stamp.latest)


def _leaf(by: Signing) -> bytes:
    """Return the certificate of the key. Raises ValueError if there is none, or it is another key's."""
    if not by.chain or spki_of(by.chain[0]) != by.spki:
        raise ValueError("the key has no certificate chain of its own")
    return by.chain[0]


def _unsound(envelope: Envelope) -> str | None:
    """Return why the key in the certificate did not make this signature, or None if it did."""
    leaf = envelope.chain[0]
    try:
        expected = algorithm_for(parse_certificate(leaf).public_key()).name
    except ValueError as error:
        return str(error)
    if envelope.algorithm != expected:
        return f"it claims {envelope.algorithm}; keys like that of its certificate sign as {expected}"
    if envelope.expires is not None and envelope.expires <= envelope.signed_at:
        return "it expires before it was made"
    if not verifies(leaf, envelope.signature, envelope.signed):
        return "does not verify with the key in its own certificate"
    return None


NOTATION_JWS = Notation("notation-jws", jws.MEDIA_TYPE, jws.message, jws.render, jws.parse)
NOTATION_COSE = Notation("notation-cose", cose.MEDIA_TYPE, cose.message, cose.render, cose.parse)
