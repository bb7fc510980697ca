"""The COSE envelope of Notary signatures: a tagged COSE_Sign1 (RFC 9052 section 4.2), certificates in header 33."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import cbor2

from proxy.formats import notary
from proxy.formats.certificate import parse_certificate
from proxy.formats.chain import CERTIFICATES
from proxy.formats.jose import ALGORITHMS, algorithm_for
from proxy.formats.notary import Envelope

MEDIA_TYPE = "application/cose"
SIGN1, EPOCH = 18, 1  # tags
ALG, CRIT, CTY, X5CHAIN = 1, 2, 3, 33  # header labels
NEEDED = frozenset({ALG, CRIT, CTY, notary.SCHEME, notary.SIGNED_AT})
UNPROTECTED = frozenset({X5CHAIN, notary.TIMESTAMP, notary.AGENT})
# Registered labels that would point at another key or change what is signed (RFC 9052, RFC 9360).
BARRED = frozenset({4, 5, 6, 7, 9, 11, 12, 32, 33, 34, 35})
DEPTH = 8
ITEMS = 4096  # of one value; a signature with eight certificates has about 40
LAST = datetime(9999, 12, 31, tzinfo=UTC)
_STRINGS, _COUNTED = frozenset({2, 3}), frozenset({4, 5})  # major types: bytes and text; arrays and maps
_NUMBERS = {row.number: row.name for row in ALGORITHMS}


class _Tags(dict[int, Callable[[object, bool], object]]):
    """The tags of a Notary signature, kept as they are; the library interprets others (such as endless numbers)."""

    def __missing__(self, tag: int) -> NoReturn:
        raise ValueError(f"tag {tag} has no place in a Notary signature")


def _kept(tag: int) -> Callable[[object, bool], object]:
    return lambda value, _immutable: cbor2.CBORTag(tag, value)


_TAGS = _Tags({tag: _kept(tag) for tag in (SIGN1, EPOCH)})


def message(payload: bytes, leaf: bytes, at: datetime) -> bytes:
    """Return the bytes to sign: the Sig_structure, for the key of this certificate."""
    protected = {
        ALG: algorithm_for(parse_certificate(leaf).public_key()).number,
        CRIT: [notary.SCHEME],
        CTY: notary.PAYLOAD_TYPE,
        notary.SCHEME: notary.X509,
        notary.SIGNED_AT: cbor2.CBORTag(EPOCH, int(at.timestamp())),
    }
    return _structure(_encoded(protected), payload)


def render(signed: bytes, signature: bytes, chain: Sequence[bytes], timestamp: bytes = b"") -> bytes:
    """Return the envelope around our message."""
    structure = _decoded(signed)
    if not isinstance(structure, list) or len(structure) != 4 or structure[0] != "Signature1":
        raise ValueError("not a message to sign as COSE_Sign1")
    unprotected: dict[object, object] = {X5CHAIN: list(chain)}
    if timestamp:
        unprotected[notary.TIMESTAMP] = timestamp
    return _encoded(cbor2.CBORTag(SIGN1, [structure[1], unprotected, structure[3], signature]))


def parse(data: bytes) -> Envelope:
    """Return the envelope. Raises ValueError unless the bytes have completely and exactly this shape."""
    value = _decoded(data)
    parts = value.value if isinstance(value, cbor2.CBORTag) and value.tag == SIGN1 else None
    if not isinstance(parts, list) or len(parts) != 4:
        raise ValueError("not a tagged COSE_Sign1")
    encoded, unprotected, payload, signature = parts
    if not all(isinstance(each, bytes) and each for each in (encoded, payload, signature)):
        raise ValueError("protected header, payload or signature is empty or not bytes")
    protected = _decoded(encoded)
    if not isinstance(protected, dict) or not protected.keys() >= NEEDED:
        raise ValueError("the protected header lacks something a Notary signature must have")
    if BARRED & protected.keys():
        raise ValueError("the protected header has a label that has no place in a Notary signature")
    if not isinstance(unprotected, dict) or not {X5CHAIN} <= unprotected.keys() <= UNPROTECTED:
        raise ValueError("the unprotected header lacks the certificates or has what is not understood here")
    notary.check_critical(protected[CRIT], {str(k): v for k, v in protected.items() if isinstance(k, str)})
    algorithm = _NUMBERS.get(protected[ALG]) if type(protected[ALG]) is int else None
    if algorithm is None:
        raise ValueError(f"the algorithm is not one of {', '.join(sorted(_NUMBERS.values()))}")
    if protected[CTY] != notary.PAYLOAD_TYPE or protected[notary.SCHEME] != notary.X509:
        raise ValueError("of another payload type or signing scheme than a Notary signature by X.509 certificate")
    return Envelope(
        algorithm=algorithm,
        payload=payload,
        signed=_structure(encoded, payload),
        signature=signature,
        chain=_chain(unprotected[X5CHAIN]),
        signed_at=_moment(protected[notary.SIGNED_AT]),
        expires=_moment(protected[notary.EXPIRY]) if notary.EXPIRY in protected else None,
        timestamp=_timestamp(unprotected),
    )


def _structure(protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure (RFC 9052 section 4.4), without external data."""
    return _encoded(["Signature1", protected, b"", payload])


def _encoded(value: object) -> bytes:
    encoded: bytes = cbor2.dumps(value, canonical=True)
    return encoded


def _decoded(data: bytes) -> object:
    """Return the value. Raises ValueError unless the bytes are its deterministic encoding, with tags 1 and 18 only.

    Decoding cannot be interrupted, so the items are counted first. The comparison with our own encoding excludes
    indefinite lengths, long forms of short numbers, unordered or repeated keys, floats for whole numbers, and bytes
    after the value.
    """
    _check_size(data)
    try:
        value = cbor2.loads(
            data, max_depth=DEPTH, allow_indefinite=False, allow_duplicate_keys=False, semantic_decoders=_TAGS
        )
        again = _encoded(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, EOFError) as error:
        raise ValueError(f"not CBOR of a Notary signature: {type(error).__name__}") from error
    if again != data:
        raise ValueError("not the deterministic encoding of its value")
    return value


def _check_size(data: bytes) -> None:
    """Raise ValueError if these bytes have more item heads (RFC 8949 section 3) than a signature may have."""
    at = 0
    for _ in range(ITEMS):
        if at >= len(data):
            return
        major, info = divmod(data[at], 32)
        length = 0 if info < 24 else 1 << (info - 24) if info < 28 else len(data)
        argument = info if info < 24 else int.from_bytes(data[at + 1 : at + 1 + length])
        if major in _COUNTED and argument > ITEMS:
            break
        at += 1 + length + (argument if major in _STRINGS else 0)
    if at < len(data):
        raise ValueError(f"not CBOR of a Notary signature: it has more than {ITEMS} items")


def _chain(value: object) -> tuple[bytes, ...]:
    chain = value if isinstance(value, list) else []
    if len(chain) > CERTIFICATES:  # before any is parsed: each costs time
        raise ValueError(f"header 33 has {len(chain)} certificates; at most {CERTIFICATES} are read")
    if not chain or not all(isinstance(each, bytes) and each for each in chain):
        raise ValueError("header 33 is not a list of certificates")
    return tuple(chain)


def _timestamp(unprotected: Mapping[object, object]) -> bytes:
    token = unprotected.get(notary.TIMESTAMP, b"")
    if not isinstance(unprotected.get(notary.AGENT, ""), str) or not isinstance(token, bytes):
        raise ValueError("the signing agent is not text, or the timestamp not bytes")
    return token


def _moment(value: object) -> datetime:
    """Return the time, in UTC. Raises ValueError unless it is a whole number of seconds under tag 1."""
    seconds = value.value if isinstance(value, cbor2.CBORTag) and value.tag == EPOCH else None
    if type(seconds) is not int or not 0 <= seconds <= LAST.timestamp():
        raise ValueError("a time is not whole seconds under tag 1")
    return datetime.fromtimestamp(seconds, UTC)
