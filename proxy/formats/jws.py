"""The JWS envelope of Notary signatures: flattened JSON (RFC 7515 section 7.2.2), certificates beside it in `x5c`."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from proxy.formats import notary
from proxy.formats.algorithms import from_base64, to_base64
from proxy.formats.certificate import parse_certificate
from proxy.formats.chain import CERTIFICATES
from proxy.formats.jose import ALGORITHMS, algorithm_for
from proxy.formats.notary import Envelope

MEDIA_TYPE = "application/jose+json"
TOP = frozenset({"payload", "protected", "header", "signature"})
UNPROTECTED = frozenset({"x5c", notary.TIMESTAMP, notary.AGENT})
NEEDED = frozenset({"alg", "crit", "cty", notary.SCHEME, notary.SIGNED_AT})
# Registered JOSE headers that would point at another key or change what is signed (RFC 7515, 7516, 7797).
BARRED = frozenset({"jwk", "jku", "kid", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc", "epk", "typ"})
_NAMES = frozenset(row.name for row in ALGORITHMS)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def message(payload: bytes, leaf: bytes, at: datetime) -> bytes:
    """Return the bytes to sign: protected header and payload, for the key of this certificate."""
    protected = {
        "alg": algorithm_for(parse_certificate(leaf).public_key()).name,
        "crit": [notary.SCHEME],
        "cty": notary.PAYLOAD_TYPE,
        notary.SCHEME: notary.X509,
        notary.SIGNED_AT: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    header = json.dumps(protected, separators=(",", ":")).encode()
    return f"{_to_base64url(header)}.{_to_base64url(payload)}".encode()


def render(signed: bytes, signature: bytes, chain: Sequence[bytes], timestamp: bytes = b"") -> bytes:
    """Return the envelope around our message."""
    protected, dot, payload = signed.decode("ascii", "replace").partition(".")
    if not dot:
        raise ValueError("not a message to sign as JWS")
    header: dict[str, object] = {"x5c": [to_base64(der) for der in chain]}
    if timestamp:
        header[notary.TIMESTAMP] = to_base64(timestamp)
    value = {"payload": payload, "protected": protected, "header": header, "signature": _to_base64url(signature)}
    return json.dumps(value, separators=(",", ":")).encode()


def parse(data: bytes) -> Envelope:
    """Return the envelope. Raises ValueError unless the bytes have completely and exactly this shape."""
    value = notary.strict_object(data, "envelope")
    header = value.get("header")
    if value.keys() != TOP or not isinstance(header, dict) or not {"x5c"} <= header.keys() <= UNPROTECTED:
        raise ValueError("not a JWS in flattened form with its certificates and nothing that is not understood here")
    protected_text, payload_text = str(value["protected"]), str(value["payload"])
    payload, signature = _from_base64url(value["payload"]), _from_base64url(value["signature"])
    protected_bytes = _from_base64url(value["protected"])
    if not payload or not signature or not protected_bytes:
        raise ValueError("payload, protected header or signature is empty or not canonical base64url")
    protected = notary.strict_object(protected_bytes, "protected header")
    if not protected.keys() >= NEEDED:
        raise ValueError(f"the protected header lacks {sorted(NEEDED - protected.keys())[0]}")
    if barred := BARRED & protected.keys():
        raise ValueError(f"the protected header has {sorted(barred)[0]}, which has no place in a Notary signature")
    notary.check_critical(protected["crit"], protected)
    if not isinstance(protected["alg"], str) or protected["alg"] not in _NAMES:
        raise ValueError(f"the algorithm is not one of {', '.join(sorted(_NAMES))}")
    if protected["cty"] != notary.PAYLOAD_TYPE or protected[notary.SCHEME] != notary.X509:
        raise ValueError("of another payload type or signing scheme than a Notary signature by X.509 certificate")
    return Envelope(
        algorithm=protected["alg"],
        payload=payload,
        signed=f"{protected_text}.{payload_text}".encode(),
        signature=signature,
        chain=_chain(header["x5c"]),
        signed_at=_moment(protected[notary.SIGNED_AT]),
        expires=_moment(protected[notary.EXPIRY]) if notary.EXPIRY in protected else None,
        timestamp=_timestamp(header),
    )


def _chain(value: object) -> tuple[bytes, ...]:
    if isinstance(value, list) and len(value) > CERTIFICATES:  # before any is parsed: each costs time
        raise ValueError(f"x5c has {len(value)} certificates; at most {CERTIFICATES} are read")
    chain = [from_base64(each) for each in value] if isinstance(value, list) else []
    if not chain or not all(chain):
        raise ValueError("x5c is not a list of certificates in canonical base64")
    return tuple(each for each in chain if each is not None)


def _timestamp(header: dict[str, object]) -> bytes:
    if not isinstance(header.get(notary.AGENT, ""), str):
        raise ValueError("the signing agent is not text")
    if notary.TIMESTAMP not in header:
        return b""
    token = from_base64(header[notary.TIMESTAMP])
    if not token:
        raise ValueError("the timestamp is not canonical base64")
    return token


def _moment(value: object) -> datetime:
    """Return the time, in UTC. Raises ValueError unless it is RFC 3339 in whole seconds."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("a time is not RFC 3339 in whole seconds")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError as error:  # out of range
        raise ValueError("a time is of no year") from error


def _to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(value: object) -> bytes | None:
    """Return the bytes, or None unless this is canonical base64url without padding (RFC 7515 section 2)."""
    if not isinstance(value, str):
        return None
    try:
        data = base64.b64decode(value.encode("ascii") + b"=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if _to_base64url(data) == value else None
