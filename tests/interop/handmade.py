"""Manifests that are written by hand, byte by byte, and pushed with plain requests: what builders make of images."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.layouts import OCI_CONFIG, OCI_LAYER, digest_of, tarball
from tests.interop.wire import OCI_INDEX, OCI_MANIFEST, ask

Described = dict[str, Any]


@dataclass(frozen=True)
class Handmade:
    """Pushes into one repository of one registry, or of a proxy; whatever is not taken fails the test."""

    host: str
    repository: str
    headers: Mapping[str, str] | None = None

    def blob(self, content: bytes, media_type: str) -> Described:
        """The content is there; this is its descriptor."""
        begun = ask(self.host, "POST", f"/v2/{self.repository}/blobs/uploads/", b"", self.headers)
        assert begun.status == 202, begun
        digest = digest_of(content)
        place = begun.headers["location"]
        there = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        own = {"Content-Type": "application/octet-stream", **(self.headers or {})}
        assert ask(self.host, "PUT", there, content, own).status == 201
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def manifest(self, content: Mapping[str, Any], media_type: str, tag: str | None = None) -> Described:
        """The manifest is there, under its digest or under a tag; this is its descriptor."""
        body = json.dumps(content).encode()
        digest = digest_of(body)
        own = {"Content-Type": media_type, **(self.headers or {})}
        answered = ask(self.host, "PUT", f"/v2/{self.repository}/manifests/{tag or digest}", body, own)
        assert answered.status == 201, answered
        return {"mediaType": media_type, "digest": digest, "size": len(body)}

    def image(self, content: str, tag: str | None = None) -> Described:
        """An image of one layer is there."""
        tar = tarball({"hello": content.encode()})
        settings = {"architecture": "amd64", "os": "linux", "config": {}}
        rootfs = {"type": "layers", "diff_ids": [digest_of(tar)]}
        config = self.blob(json.dumps({**settings, "rootfs": rootfs}).encode(), OCI_CONFIG)
        layer = self.blob(gzip.compress(tar, mtime=0), OCI_LAYER)
        return self.manifest(
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}, OCI_MANIFEST, tag
        )

    def index(self, entries: Sequence[Described], tag: str | None = None) -> Described:
        """An index of those entries is there."""
        return self.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX, tag)

    def buildx(self, content: str, tag: str) -> tuple[Described, list[Described]]:
        """What `docker buildx build --attest` pushes: an index of an image and of a statement about it."""
        image = {**self.image(content), "platform": {"architecture": "amd64", "os": "linux"}}
        statement: Described = {"_type": "https://in-toto.io/Statement/v0.1", "predicate": {}}
        statement["predicateType"] = "https://slsa.dev/provenance/v0.2"
        statement["subject"] = [{"name": "_", "digest": {"sha256": image["digest"][7:]}}]
        layer = self.blob(json.dumps(statement).encode(), "application/vnd.in-toto+json")
        layer["annotations"] = {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
        settings = {"architecture": "unknown", "os": "unknown", "config": {}}
        rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
        config = self.blob(json.dumps({**settings, "rootfs": rootfs}).encode(), OCI_CONFIG)
        body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}
        about = {"vnd.docker.reference.digest": image["digest"], "vnd.docker.reference.type": "attestation-manifest"}
        attestation = {**self.manifest(body, OCI_MANIFEST), "annotations": about}
        attestation["platform"] = {"architecture": "unknown", "os": "unknown"}
        return self.index([image, attestation], tag), [image, attestation]

    def build_cache(self, content: str, tag: str) -> tuple[Described, list[Described]]:
        """What `buildctl --export-cache type=registry` pushed for years: an index that lists layers, not manifests."""
        layer = self.blob(gzip.compress(tarball({"cache": content.encode()}), mtime=0), OCI_LAYER)
        settings = {"layers": [{"blob": layer["digest"], "parent": -1}], "records": []}
        config = self.blob(json.dumps(settings).encode(), "application/vnd.buildkit.cacheconfig.v0")
        return self.index([layer, config], tag), [layer, config]
