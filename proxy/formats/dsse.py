"""DSSE v1: the signed bytes, and an envelope of exactly one signature (secure-systems-lab/dsse)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.formats.algorithms import from_base64, to_base64

IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Envelope:
    """One envelope with its one signature, base64 already decoded."""

    payload_type: str
    payload: bytes
    signature: bytes

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding; lengths are decimal byte counts (DSSE protocol)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def payload_of(message: bytes, payload_type: str = IN_TOTO) -> bytes:
    """Return the payload from its encoding. Raises ValueError when the message is not one of this type."""
    head = pae(payload_type, b"").removesuffix(b"0 ")
    length, _, payload = message.removeprefix(head).partition(b" ")
    if not message.startswith(head) or pae(payload_type, payload) != message or length != b"%d" % len(payload):
        raise ValueError("not a DSSE message of this payload type")
    return payload


def render(envelope: Envelope) -> dict[str, object]:
    """Return the envelope as JSON values, as a sigstore bundle carries it."""
    return {
        "payload": to_base64(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [{"sig": to_base64(envelope.signature)}],
    }


def parse(value: object) -> Envelope:
    """Return the envelope. Raises ValueError for unknown keys, base64 variants, any number of signatures but one."""
    if not isinstance(value, dict) or value.keys() != {"payload", "payloadType", "signatures"}:
        raise ValueError("not a DSSE envelope")
    signatures = value["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise ValueError("a DSSE envelope must hold exactly one signature")
    one = signatures[0]
    if not isinstance(one, dict) or not {"sig"} <= one.keys() <= {"sig", "keyid"}:
        raise ValueError("not a DSSE signature")
    if not isinstance(one.get("keyid", ""), str):
        raise ValueError("DSSE keyid is not a string")
    payload, signature = from_base64(value["payload"]), from_base64(one["sig"])
    kind = value["payloadType"]
    if payload is None or not signature or not isinstance(kind, str) or not kind.isascii():
        raise ValueError("DSSE payload or signature is not canonical base64, or there is none")
    return Envelope(kind, payload, signature)
