"""Reads what the real clients wrote (see remake.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from proxy.formats.format import Layer
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_MANIFEST, Manifest, parse
from proxy.oci.reference import Digest
from proxy.trust.keys import Verifier, fingerprint

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.json"))


@dataclass(frozen=True)
class Vector:
    """What one client left in a registry, and the keys it signed with, in the order of the layers."""

    subject: Digest
    repository: str
    body: bytes
    manifest: Manifest
    config: bytes
    layers: tuple[Layer, ...]
    keys: tuple[Verifier, ...]


def load(name: str) -> Vector:
    """The vector of that name."""
    raw = json.loads((HERE / f"{name}.json").read_text())
    kind = json.loads(raw["manifest"]).get("mediaType", OCI_MANIFEST)
    manifest = parse(raw["manifest"].encode(), kind, Limits())
    keys = (bytes.fromhex(key) for key in raw["keys"])
    return Vector(
        Digest(raw["subject"]),
        raw["repository"],
        raw["manifest"].encode(),
        manifest,
        raw["config"].encode(),
        tuple(Layer(d, text.encode()) for d, text in zip(manifest.layers, raw["layers"], strict=True)),
        tuple(Verifier(fingerprint(spki), spki, f"key {n}", "any", False) for n, spki in enumerate(keys)),
    )
