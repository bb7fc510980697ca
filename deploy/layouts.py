"""Small real images, made offline: OCI layouts and docker archives with one tiny layer each, and indexes of them.

For `make run`, which must work where no image can be downloaded, and for the interop tests. Standard library only.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Layout:
    """An OCI layout on disk whose one entry, tagged `latest`, has this digest; `children` are an index's manifests."""

    path: Path
    digest: str
    children: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """How skopeo calls it."""
        return f"oci:{self.path}:latest"


def tarball(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar of those files: the same bytes for the same files, on any day."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _config(tar: bytes, platform: str) -> bytes:
    system, architecture = platform.split("/")
    config = {
        "architecture": architecture,
        "os": system,
        "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "tests"}],
        "created": "2024-01-01T00:00:00Z",
    }
    return json.dumps(config).encode()


class _Blobs:
    """The content-addressed folder of a layout under construction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def put(self, content: bytes, media_type: str) -> dict[str, object]:
        """The content lies in the layout; this is its descriptor."""
        digest = digest_of(content)
        (self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def image(self, files: Mapping[str, bytes], platform: str) -> dict[str, object]:
        """An image of one layer lies in the layout; this is the descriptor of its manifest."""
        tar = tarball(files)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.put(_config(tar, platform), OCI_CONFIG),
            "layers": [self.put(gzip.compress(tar, mtime=0), OCI_LAYER)],
        }
        return self.put(json.dumps(manifest).encode(), OCI_MANIFEST)

    def finish(self, top: dict[str, object], children: Sequence[dict[str, object]] = ()) -> Layout:
        """The layout is complete, with that one entry."""
        entry = {**top, "annotations": {"org.opencontainers.image.ref.name": "latest"}}
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return Layout(self.path, str(top["digest"]), tuple(str(child["digest"]) for child in children))


def image(path: Path, content: str = "hello", *, platform: str = "linux/amd64") -> Layout:
    """A layout with one image; the same content gives the same digest, another content another one."""
    blobs = _Blobs(path)
    return blobs.finish(blobs.image({"hello": content.encode()}, platform))


def index(path: Path, content: str = "hello", *, platforms: Sequence[str] = ("linux/amd64", "linux/arm64")) -> Layout:
    """A layout with an index of one image per platform."""
    blobs = _Blobs(path)
    children = []
    for platform in platforms:
        system, architecture = platform.split("/")
        child = blobs.image({"hello": f"{content} for {platform}".encode()}, platform)
        children.append({**child, "platform": {"os": system, "architecture": architecture}})
    top = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    return blobs.finish(blobs.put(json.dumps(top).encode(), OCI_INDEX), children)


def docker_archive(path: Path, name: str, content: str = "hello") -> Path:
    """A file for `docker load` and `podman load` with one image of that name."""
    tar = tarball({"hello": content.encode()})
    config = _config(tar, "linux/amd64")
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "layer.tar": tar, "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(tarball(files))
    return path
