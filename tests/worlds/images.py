"""Small images made on the spot: real manifests with real digests, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from proxy.oci.manifest import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from proxy.oci.reference import Digest, digest_of

LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


def dump(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def descriptor(media_type: str, data: bytes, **more: object) -> dict[str, object]:
    """A descriptor of these bytes."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


@dataclass(frozen=True)
class Image:
    """One manifest, its media type, and the blobs it needs."""

    body: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    children: tuple[Image, ...] = field(default=())

    @property
    def digest(self) -> Digest:
        return digest_of(self.body)


def image(seed: str = "one", *, docker: bool = False, layer_type: str | None = None, **more: object) -> Image:
    """An image with a config and one layer; `more` goes into the manifest."""
    config = dump({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "seed": seed})
    layer = f"not quite a tar: {seed}".encode()
    kind = DOCKER_MANIFEST if docker else OCI_MANIFEST
    body = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": descriptor(DOCKER_CONFIG if docker else OCI_CONFIG, config),
        "layers": [descriptor(layer_type or (DOCKER_LAYER if docker else LAYER), layer)],
        **more,
    }
    return Image(dump(body), kind, (config, layer))


def index(*children: Image, **more: object) -> Image:
    """An index of these images."""
    entries = [descriptor(child.media_type, child.body) for child in children]
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **more}
    return Image(dump(body), OCI_INDEX, (), children)
