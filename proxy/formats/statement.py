"""The in-toto statement inside a bundle: one subject, its predicate, and the names we bind it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.oci.faults import Corrupt, Fault
from proxy.oci.limits import Limits
from proxy.oci.reference import Digest, parse_digest
from proxy.oci.strict_json import loads

V1 = "https://in-toto.io/Statement/v1"
TYPES = frozenset({V1, "https://in-toto.io/Statement/v0.1"})  # `cosign attest` writes the older one
IMAGE_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
REFERENCE = "docker-reference"  # the same key as in the simple format
# in-toto attestation v1, "ResourceDescriptor"
DESCRIPTOR_KEYS = frozenset({"name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations"})


@dataclass(frozen=True)
class Statement:
    """The content of one statement. `subjects` are digests as ALGORITHM:HEX; None if a subject has no usable digest."""

    predicate_type: str
    subjects: tuple[Digest | None, ...]
    annotations: Mapping[str, str]

    @property
    def subject(self) -> Digest | None:
        """Return the one digest this is about; None for any other number of subjects or digests."""
        return self.subjects[0] if len(self.subjects) == 1 else None

    @property
    def reference(self) -> str | None:
        """Return the name this is bound to, or None."""
        return self.annotations.get(REFERENCE)

    @property
    def claims(self) -> dict[str, str]:
        """Return the claims besides that name."""
        return {k: v for k, v in self.annotations.items() if k != REFERENCE}


def render(subject: Digest, bound: str, claims: Mapping[str, str]) -> bytes:
    """Return the statement of an image signature, as cosign writes it, with our annotations on its subject."""
    algorithm, _, value = subject.partition(":")
    statement = {
        "_type": V1,
        "subject": [{"digest": {algorithm: value}, "annotations": {REFERENCE: bound, **claims}}],
        "predicateType": IMAGE_SIGNATURE,
        "predicate": {},
    }
    return json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def parse(data: bytes) -> Statement:
    """Return the statement. Raises ValueError unless the bytes have completely and exactly this shape."""
    try:
        value = loads(data, Limits.json_depth)
    except Corrupt as error:
        raise ValueError(f"statement is not strict JSON: {error.what}") from error
    need = {"_type", "subject", "predicateType"}
    if not isinstance(value, dict) or not need <= value.keys() <= need | {"predicate"}:
        raise ValueError("not an in-toto statement")
    kind, subjects, predicate = value["predicateType"], value["subject"], value.get("predicate", {})
    if str(value["_type"]) not in TYPES or not isinstance(kind, str) or not isinstance(predicate, dict):
        raise ValueError("not an in-toto statement of a version we know")
    if not isinstance(subjects, list) or not subjects:
        raise ValueError("an in-toto statement without a subject")
    annotations: Mapping[str, str] = {}
    digests = []
    for one in subjects:
        if not isinstance(one, dict) or not one.keys() <= DESCRIPTOR_KEYS:
            raise ValueError("an in-toto subject of an unknown shape")
        digests.append(_digest(one.get("digest")))
        annotations = _annotations(one.get("annotations"))
    return Statement(kind, tuple(digests), annotations)


def _digest(value: object) -> Digest | None:
    """Return the digest if there is exactly one, else None: two would let each reader choose."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    algorithm, hexadecimal = next(iter(value.items()))
    try:
        return parse_digest(f"{algorithm}:{hexadecimal}") if isinstance(hexadecimal, str) else None
    except Fault:
        return None


def _annotations(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not isinstance(value.get(REFERENCE, ""), str):
        raise ValueError("in-toto subject annotations of an unknown shape")
    return {k: v for k, v in value.items() if isinstance(v, str)}
