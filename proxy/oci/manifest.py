"""Strict parsing of manifests: once, and never by the media type that someone else claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from proxy.oci.descriptor import (
    NOT_JUDGED,
    TOO_LARGE,
    Object,
    invalid,
    parse_annotations,
    parse_descriptor,
    parse_list,
    parse_media_type,
    parse_object,
)
from proxy.oci.descriptor import Descriptor as Descriptor
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.limits import Limits
from proxy.oci.reference import Digest
from proxy.oci.strict_json import TooManyValues, loads

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_JSON = b"{}"
EMPTY_DIGEST = Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")

MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
UNSPECIFIC = frozenset({"", "application/json", "application/octet-stream"})  # do not name the kind
_IMAGE_FIELDS = frozenset({"config", "layers"})
_INDEX_FIELDS = frozenset({"manifests"})
_SCHEMA1_FIELDS = frozenset({"fsLayers", "history"})
_COMMON_FIELDS = frozenset({"schemaVersion", "mediaType", "artifactType", "subject", "annotations"})
_FIELDS = _COMMON_FIELDS | _IMAGE_FIELDS | _INDEX_FIELDS | _SCHEMA1_FIELDS
_TOP = "manifest"


class Kind(StrEnum):
    """The kinds of document that have a rule; any other media type is refused."""

    IMAGE = "image"  # an image manifest, OCI or docker schema 2, artifacts included
    INDEX = "index"


@dataclass(frozen=True)
class Manifest:
    """One parsed manifest or index.

    `children` are index entries that are manifests themselves; entries of another media type (older build caches) are
    in `entries`, and in `blobs` with the config and the layers.
    """

    kind: Kind
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    entries: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """Digests of everything listed here that is fetched as a blob."""
        own = (*(() if self.config is None else (self.config,)), *self.layers, *self.entries)
        return tuple(dict.fromkeys(d.digest for d in own))


def parse(body: bytes, content_type: str, limits: Limits) -> Manifest:
    """Return the manifest in these bytes, the same for every client.

    `content_type` is the header as sent, '' if it is absent. Raises Fault: SIZE_INVALID (413, `too_large`) before the
    bytes are parsed; MANIFEST_INVALID with reason `ambiguous_manifest` if two parsers could see two documents or the
    document breaks its format, `not_judged` for a kind without a rule, `too_large` for too many entries.
    """
    if len(body) > limits.manifest_bytes:
        text = f"manifest has {len(body)} bytes; at most {limits.manifest_bytes} are read"
        raise Fault("SIZE_INVALID", text, status=413, reason=TOO_LARGE)
    try:
        value = loads(body, limits.json_depth, limits.json_values)
    except TooManyValues as error:
        raise invalid(error.what, TOO_LARGE) from error
    except Corrupt as error:
        raise invalid(error.what) from error
    found = parse_object(value, _TOP, _FIELDS)
    media_type = _media_type(found, content_type)
    if not _is_version(found, 2):
        raise invalid("schemaVersion is not 2")
    read = _image if media_type in MANIFESTS else _index
    return replace(
        read(found, media_type, limits),
        subject=None if found.get("subject") is None else parse_descriptor(found["subject"], "subject"),
        artifact_type=parse_media_type(found, "artifactType", _TOP),
        annotations=parse_annotations(found, _TOP),
    )


def _media_type(found: Object, content_type: str) -> str:
    """Return the one media type that document, header and shape agree on."""
    inner, outer = parse_media_type(found, "mediaType", _TOP), content_type.partition(";")[0].strip(" \t").lower()
    if inner is not None and outer not in UNSPECIFIC and inner != outer:
        raise invalid(f"mediaType is {inner!a}, but Content-Type is {outer[:80]!a}; both must be the same")
    claimed = inner or (None if outer in UNSPECIFIC else outer)
    image, index, schema1 = (not fields.isdisjoint(found) for fields in (_IMAGE_FIELDS, _INDEX_FIELDS, _SCHEMA1_FIELDS))
    if claimed in SCHEMA1 or (schema1 and claimed is None) or _is_version(found, 1):
        raise _not_judged(
            "docker schema 1 manifests hold no digest of their configuration; push the image again as OCI"
        )
    if claimed is not None and claimed not in MANIFESTS | INDEXES:
        raise _not_judged(f"there is no rule for media type {claimed[:80]!a}, only for OCI and docker schema 2")
    if image + index + schema1 > 1:
        raise invalid(
            "it has fields of several kinds (config, layers; manifests; fsLayers, history); readers may differ"
        )
    if not image and not index:
        raise invalid("it has neither config and layers (an image) nor manifests (an index)")
    if claimed is None:
        return OCI_MANIFEST if image else OCI_INDEX
    if image is not (claimed in MANIFESTS):
        raise invalid(f"media type is {claimed}, but the fields are those of an {'image' if image else 'index'}")
    return claimed


def _is_version(found: Object, version: int) -> bool:
    """True for the integer: 2.0 and true are other values to other parsers."""
    value = found.get("schemaVersion")
    return type(value) is int and value == version


def _image(found: Object, media_type: str, limits: Limits) -> Manifest:
    layers = parse_list(found, "layers", _TOP)
    _bound(len(layers), limits.layers, "layers")
    return Manifest(
        kind=Kind.IMAGE,
        media_type=media_type,
        config=parse_descriptor(found.get("config"), "config"),
        layers=tuple(parse_descriptor(layer, f"layers[{at}]") for at, layer in enumerate(layers)),
    )


def _index(found: Object, media_type: str, limits: Limits) -> Manifest:
    listed = parse_list(found, "manifests", _TOP)
    _bound(len(listed), max(limits.layers, limits.index_children), "entries")
    entries = tuple(parse_descriptor(entry, f"manifests[{at}]") for at, entry in enumerate(listed))
    children = tuple(entry for entry in entries if entry.media_type in MANIFESTS | INDEXES)
    _bound(len(children), limits.index_children, "child manifests")
    return Manifest(
        kind=Kind.INDEX,
        media_type=media_type,
        children=children,
        entries=tuple(entry for entry in entries if entry.media_type not in MANIFESTS | INDEXES),
    )


def _bound(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise invalid(f"it has {count} {what}; at most {limit} are read", TOO_LARGE)


def _not_judged(text: str) -> Fault:
    return Fault("MANIFEST_INVALID", f"manifest of a kind that is not judged: {text}", reason=NOT_JUDGED)
