"""RFC 3161 timestamps: requests to a timestamp authority, and what its answer proves.

A token proves that the signature it covers existed at a time. It is verified against configured authorities alone: the
certificates inside it only lead to them, and each must satisfy the rules of an image signature's chain, as the Notary
Project requires, with timeStamping in place of code signing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import (
    Accuracy,
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from proxy.formats import chain, der
from proxy.formats.certificate import UNUSABLE, issued_by, parse_certificate

TOKEN_BYTES = 64 * 1024
REQUEST_TYPE, REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"
_GRANTED = der.wrapped(der.SEQUENCE, b"\x02\x01\x00")  # PKIStatusInfo of a token that travels without its response
_CERTIFICATES = der.FIRST  # [0] IMPLICIT SET OF, in SignedData
_PURPOSE = "leaf-purpose"  # the one rule that differs for timestamp authorities


@dataclass(frozen=True)
class Stamp:
    """The signature existed between these two times: the authority's time, plus or minus its accuracy."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class Request:
    """A request to a timestamp authority; the reply must repeat the nonce."""

    body: bytes
    nonce: int


def request(signature: bytes) -> Request:
    """Return the request for a token over this signature, with SHA-256, a nonce, and a request for certificates."""
    made = TimestampRequestBuilder(data=signature, hash_algorithm=HashAlgorithm.SHA256).build()
    return Request(made.as_bytes(), made.nonce or 0)


def token_of(reply: bytes, asked: Request, signature: bytes, roots: Collection[bytes]) -> bytes:
    """Return the token of an authority's reply, proven to match the request. Raises ValueError."""
    response = _response(reply)
    if response.status != 0:
        said = ascii("; ".join(response.status_string)[:200])[1:-1] or "no reason given"
        raise ValueError(f"the timestamp authority refused (status {response.status}: {said})")
    token = response.time_stamp_token()
    _verified(token, signature, roots, asked.nonce)
    return token


def verify(token: bytes, signature: bytes, roots: Collection[bytes]) -> Stamp:
    """Return when this signature existed, by an authority under one of these roots (DER). Raises ValueError."""
    return _verified(token, signature, roots, None)


def _verified(token: bytes, signature: bytes, roots: Collection[bytes], nonce: int | None) -> Stamp:
    response = _response(der.wrapped(der.SEQUENCE, _GRANTED, token))
    anchors = [parse_certificate(root) for root in roots]
    if not anchors:
        raise ValueError("no timestamp authority is configured")
    if len(response.signed_data.certificates) > chain.CERTIFICATES:
        raise ValueError(f"a timestamp with more than {chain.CERTIFICATES} certificates")
    try:
        info = response.tst_info
        VerifierBuilder(roots=anchors, nonce=nonce).build().verify_message(response, signature)
    except (VerificationError, *UNUSABLE) as error:  # it reads certificates that are not verified yet
        raise ValueError(f"the timestamp does not verify: {error}") from error
    if info.version != 1:
        raise ValueError(f"a timestamp of version {info.version}; only 1 is known")
    at = info.gen_time
    _authorised(response, anchors, at)
    margin = _accuracy(response)
    return Stamp(at - margin, at + margin)


def _authorised(response: TimeStampResponse, anchors: Collection[x509.Certificate], at: datetime) -> None:
    """Check the signer's chain against the rules, at the time of the timestamp. Raises ValueError naming the problem.

    OpenSSL has already checked, with the signature, that it is for timestamps alone (RFC 3161 section 2.3).
    """
    given = [parse_certificate(one) for one in response.signed_data.certificates]
    (signer,) = response.signed_data.signer_infos  # exactly one, or it was not verified
    signers = [c for c in given if c.issuer == signer.issuer and c.serial_number == signer.serial_number]
    if len(signers) != 1:
        raise ValueError("which certificate signed the timestamp is not clear")
    path = _path(signers[0], given, anchors)
    broken = [p for p in chain.problems(path, at) if p.rule != _PURPOSE]
    if broken:
        raise ValueError(f"the timestamp authority's certificates: {broken[0]}")


def _path(
    leaf: x509.Certificate, given: Collection[x509.Certificate], anchors: Collection[x509.Certificate]
) -> tuple[bytes, ...]:
    """Return the chain (DER) from this certificate to a configured root. Raises ValueError if there is none."""
    path = [leaf]
    while path[-1] not in anchors:
        issuers = [c for c in (*anchors, *given) if c not in path and chain.usable(c.public_key())]
        above = next((c for c in issuers if issued_by(path[-1], c)), None)
        if above is None or len(path) >= chain.CERTIFICATES:
            raise ValueError("the timestamp authority's certificates do not lead to a configured one")
        path.append(above)
    return tuple(one.public_bytes(Encoding.DER) for one in path)


def _accuracy(response: TimeStampResponse) -> timedelta:
    stated = cast("Accuracy | None", response.tst_info.accuracy)  # optional, despite the library's types
    if stated is None:
        return timedelta()
    return timedelta(seconds=stated.seconds or 0, milliseconds=stated.millis or 0, microseconds=stated.micros or 0)


def _response(reply: bytes) -> TimeStampResponse:
    """Return the response after sorting its certificates: OpenSSL and others write them in any order.

    The set of certificates is not signed, so its order changes no signed content. Raises ValueError.
    """
    if len(reply) > TOKEN_BYTES:
        raise ValueError(f"a timestamp of {len(reply)} bytes; at most {TOKEN_BYTES} are read")
    try:
        return decode_timestamp_response(_in_order(reply))
    except ValueError as error:
        raise ValueError(f"not a timestamp (RFC 3161): {error}") from error


def _in_order(reply: bytes) -> bytes:
    status, *tokens = der.elements(der.inside(reply, der.SEQUENCE))
    if len(tokens) != 1:  # a refusal has none
        return reply
    kind, explicit = der.elements(der.inside(tokens[0], der.SEQUENCE))
    signed = [_sorted(part) for part in der.elements(der.inside(der.inside(explicit, der.FIRST), der.SEQUENCE))]
    content = der.wrapped(der.SEQUENCE, *signed)
    return der.wrapped(der.SEQUENCE, status, der.wrapped(der.SEQUENCE, kind, der.wrapped(der.FIRST, content)))


def _sorted(part: bytes) -> bytes:
    if part[:1] != bytes((_CERTIFICATES,)):
        return part
    return der.sorted_set(_CERTIFICATES, der.elements(der.inside(part, _CERTIFICATES)))
