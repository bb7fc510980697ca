"""Descriptors, and the strict parsing of document fields: exact names, exact types, errors with their location."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from proxy.oci.faults import Fault
from proxy.oci.reference import Digest, parse_digest

# trust.decision.Reason by value: oci is below trust and may not import it.
AMBIGUOUS = "ambiguous_manifest"
NOT_JUDGED = "not_judged"
TOO_LARGE = "too_large"

SIZE_LIMIT = 2**63 - 1  # int64, the type of `size` in every Go client
MEDIA_TYPE_LENGTH = 255  # RFC 6838 §4.2: 127 for each half, and the slash
DESCRIPTOR_FIELDS = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"}
)

Object = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True)
class Descriptor:
    """A pointer to content: media type, digest, size in bytes (image-spec 1.1 "Descriptor")."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None


def invalid(text: str, reason: str = AMBIGUOUS) -> Fault:
    """Return the fault of an invalid manifest, with the error and its location."""
    return Fault("MANIFEST_INVALID", f"manifest not valid: {text}", reason=reason)


def parse_descriptor(value: object, where: str) -> Descriptor:
    """Return the descriptor at `where`. Raises Fault MANIFEST_INVALID that names the location."""
    found = parse_object(value, where, DESCRIPTOR_FIELDS)
    media_type = parse_media_type(found, "mediaType", where)
    if media_type is None:
        raise invalid(f"{where}.mediaType is missing")
    size = found.get("size")
    if type(size) is not int or not 0 <= size <= SIZE_LIMIT:
        raise invalid(f"{where}.size is not a whole number of bytes: {_shown(size)}")
    return Descriptor(
        media_type=media_type,
        digest=_digest(found.get("digest"), where),
        size=size,
        annotations=parse_annotations(found, where),
        artifact_type=parse_media_type(found, "artifactType", where),
    )


def parse_object(value: object, where: str, fields: Collection[str]) -> Object:
    """Return the object, proven to have no key that a case-insensitive parser could take for one of `fields`."""
    if not isinstance(value, dict):
        raise invalid(f"{where} is not an object: {_shown(value)}")
    # Go matches keys without case, including U+017F as s and U+212A as k; casefold() maps both.
    folded = {name.casefold(): name for name in fields}
    for key in value:
        known = folded.get(key.casefold(), key)
        if known != key:
            raise invalid(
                f"{where} has the key {key!a}, which some parsers read as {known}; write {known} or remove it"
            )
    return value


def parse_annotations(found: Object, where: str) -> Mapping[str, str]:
    """Return the annotations, {} if there are none; their keys are free."""
    value = found.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise invalid(f"{where}.annotations is not an object of strings")
    return value


def parse_media_type(found: Object, name: str, where: str) -> str | None:
    """Return the media type in this field, None if it is missing, null or empty (as Go writes an absent one)."""
    value = found.get(name)
    if value is None or value == "":
        return None
    if not (isinstance(value, str) and len(value) <= MEDIA_TYPE_LENGTH and all("!" <= c <= "~" for c in value)):
        raise invalid(f"{where}.{name} is not a media type: {_shown(value)}")
    return value


def parse_list(found: Object, name: str, where: str) -> list[object]:
    """Return the list in this field; null is the empty list, as Go writes it. Raises Fault when it is missing."""
    if name not in found:
        raise invalid(f"{where}.{name} is missing")
    value = found[name]
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(f"{where}.{name} is not a list: {_shown(value)}")
    return value


def _digest(value: object, where: str) -> Digest:
    if not isinstance(value, str):
        raise invalid(f"{where}.digest is not a string: {_shown(value)}")
    try:
        return parse_digest(value)
    except Fault as fault:
        raise invalid(f"{where}.{fault.message}") from fault


def _shown(value: object) -> str:
    """Return the value, short and in ASCII, for an error text; containers by their type only."""
    return type(value).__name__ if isinstance(value, dict | list) else ascii(value)[:80]
