"""Manifests as we read them: strictly, once, and never by the media type somebody else claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proxy.oci.reference import Digest

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


class Kind(StrEnum):
    """The kinds of document that have a rule; any other media type is refused."""

    IMAGE = "image"  # an image manifest, OCI or docker schema 2, artifacts included
    INDEX = "index"


@dataclass(frozen=True)
class Descriptor:
    """A pointer to content: media type, digest, size in bytes (image-spec 1.1 "Descriptor")."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None


@dataclass(frozen=True)
class Manifest:
    """One parsed manifest or index.

    `children` are index entries that are manifests themselves; entries of another media type (older build caches)
    are in `blobs`, with the config and the layers.
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
