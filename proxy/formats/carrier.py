"""The manifests and indexes that carry signatures: pure builders of their bytes, and their recognition.

Existing bytes are edited as JSON values, so that foreign layers and entries keep every field.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from proxy.formats import notary, simple_signing
from proxy.formats.table import claimed_by
from proxy.oci.faults import Corrupt
from proxy.oci.limits import Limits
from proxy.oci.manifest import (
    DOCKER_MANIFEST,
    EMPTY_DIGEST,
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Kind,
    Manifest,
)
from proxy.oci.reference import Digest
from proxy.oci.strict_json import loads

Mark = tuple[str, str]  # layer digest and signature: two keys that sign one payload share the layer, not the signature
LAYERS = 100
# cosign's config type of a `.sig` pushed as a referrer (`--registry-referrers-mode=oci-1-1`).
COSIGN_CONFIG = "application/vnd.dev.cosign.artifact.sig.v1+json"
# notation 1.3 types its manifests by their config, which is the empty one.
CONFIGS = frozenset({OCI_CONFIG, OCI_EMPTY, COSIGN_CONFIG, notary.ARTIFACT_TYPE})
# cosign's config type of a `.sig` for registries that accept no OCI types (COSIGN_DOCKER_MEDIA_TYPES=1).
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_EMPTY_CONFIG = {"mediaType": OCI_CONFIG, "size": len(EMPTY_JSON), "digest": EMPTY_DIGEST}


def mark(layer: Descriptor) -> Mark:
    """Return the mark that is equal for layers of `.sig` manifests with the same signature."""
    return (layer.digest, layer.annotations.get(simple_signing.SIGNATURE, ""))


def sig_manifest(old: bytes | None, add: Sequence[Descriptor], drop: Collection[Mark] = ()) -> bytes | None:
    """Return the `.sig` manifest with these layers added and those dropped; None when no layer is left.

    All other layers keep their position and every field. The config becomes the empty one: no blob to write but the
    payloads. Raises Corrupt when the old bytes are not a manifest.
    """
    value = {} if old is None else _document(old)
    kept = [layer for layer in _entries(value, "layers") if _raw_mark(layer) not in drop]
    present = {_raw_mark(layer) for layer in kept}
    for layer in add:
        if mark(layer) not in present:
            present.add(mark(layer))
            kept.append(describe(layer))
    if not kept:
        return None
    head = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _EMPTY_CONFIG, "layers": kept}
    return _render({**head, **{k: v for k, v in value.items() if k not in head}})


def referrer_manifest(
    subject: Descriptor,
    layer: Descriptor,
    artifact_type: str,
    about: Mapping[str, str],
    created: datetime,
    config_type: str = OCI_EMPTY,
) -> bytes:
    """Return the manifest that makes this layer a referrer of the subject; the same bytes for the same `created`."""
    return _render(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": {**_EMPTY_CONFIG, "mediaType": config_type},
            "layers": [describe(layer)],
            "subject": {"mediaType": subject.media_type, "size": subject.size, "digest": subject.digest},
            "annotations": {**about, "org.opencontainers.image.created": created.strftime("%Y-%m-%dT%H:%M:%SZ")},
        }
    )


def referrer(manifest: Manifest, digest: Digest, size: int) -> Descriptor:
    """Return the descriptor of a referrer as the API shows it (distribution-spec 1.1 "Listing Referrers").

    Its artifact type is the manifest's own, or for an image its config's media type; annotations are the manifest's.
    """
    config = manifest.config.media_type if manifest.config else None
    return Descriptor(manifest.media_type, digest, size, manifest.annotations, manifest.artifact_type or config)


def referrers_index(entries: Iterable[Descriptor]) -> bytes:
    """Return an index of exactly these referrers, even if there are none."""
    return _index([describe(entry) for entry in entries], {})


def fallback_index(old: bytes | None, add: Sequence[Descriptor], drop: Collection[Digest] = ()) -> bytes:
    """Return the fallback tag's index with these referrers added (or corrected in place) and those dropped.

    All other entries keep their position and every field. Raises Corrupt when the old bytes are not an index.
    """
    value = {} if old is None else _document(old)
    new = {entry.digest: describe(entry) for entry in add}
    kept = [
        new.pop(Digest(str(e.get("digest"))), e)
        for e in _entries(value, "manifests")
        if str(e.get("digest")) not in drop
    ]
    return _index([*kept, *new.values()], value)


def merged_sig(
    old: bytes | None,
    pushed: bytes,
    ours: Sequence[Descriptor],
    leave: Collection[Mark] = (),
    drop: Collection[Mark] = (),
) -> bytes | None:
    """Return a merged `.sig` manifest: the old layers except `drop`, the pushed ones except `leave`, and ours.

    The original bytes of `old`, or the pushed ones, if they already have exactly this content; None when no layer is
    left. Our layers are as we write them, whatever fields the pushed ones have. Raises Corrupt.
    """
    mine = {mark(layer): describe(layer) for layer in ours}
    value = _document(pushed)
    theirs = _entries(value, "layers")
    there = [] if old is None else _entries(_document(old), "layers")
    found = {_raw_mark(layer): layer for layer in there if _raw_mark(layer) not in drop}
    for layer in theirs:
        if _raw_mark(layer) not in leave:
            found.setdefault(_raw_mark(layer), mine.get(_raw_mark(layer), layer))
    for at, layer in mine.items():
        found.setdefault(at, layer)
    layers = list(found.values())
    if not layers:
        return None
    if old is not None and _same(layers, there):
        return old
    if _same(layers, theirs):
        return pushed
    head = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _EMPTY_CONFIG, "layers": layers}
    rest = value if old is None else _document(old)
    return _render({**head, **{k: v for k, v in rest.items() if k not in head}})


def merged_index(
    old: bytes | None, pushed: bytes, ours: Sequence[Descriptor], leave: Collection[Digest] = ()
) -> bytes | None:
    """Return a merged index for a fallback tag: the old entries, the pushed ones except `leave`, and ours.

    The original bytes of `old`, or the pushed ones, if they already list exactly this; None if there is nothing to list
    and the pushed index is not empty itself. Raises Corrupt.
    """
    mine = {entry.digest: describe(entry) for entry in ours}
    value = _document(pushed)
    theirs = _entries(value, "manifests")
    there = [] if old is None else _entries(_document(old), "manifests")
    found = {str(entry.get("digest")): entry for entry in there}
    for entry in theirs:
        digest = str(entry.get("digest"))
        if digest not in leave:
            own = mine.get(Digest(digest))
            right = own is None or all(entry.get(key) == own.get(key) for key in ("mediaType", "size"))
            found.setdefault(digest, entry if own is None or right else own)
    for at, entry in mine.items():
        found.setdefault(at, entry)
    listed = list(found.values())
    if old is not None and _same(listed, there):
        return old
    if _same(listed, theirs):
        return pushed
    return None if not listed else _index(listed, value if old is None else _document(old))


def describe(descriptor: Descriptor) -> dict[str, object]:
    """Return the descriptor as JSON values, in the order of the specification."""
    value: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": descriptor.digest,
    }
    if descriptor.annotations:
        value["annotations"] = dict(descriptor.annotations)
    if descriptor.artifact_type is not None:
        value["artifactType"] = descriptor.artifact_type
    return value


def is_artifact_shape(manifest: Manifest, most: int = LAYERS) -> bool:
    """True when this could be a signature artifact of at most `most` layers: necessary, never sufficient.

    It is one only once every layer has been fetched and `claimed_by(media type).parses(...)`, and the config that
    `config_to_check` names (if any) has been fetched and `config_parses(...)`.
    """
    if manifest.kind is not Kind.IMAGE or manifest.config is None or not 1 <= len(manifest.layers) <= most:
        return False
    formats = {claimed_by(layer.media_type) for layer in manifest.layers}
    if manifest.media_type == DOCKER_MANIFEST:
        return manifest.config.media_type == DOCKER_CONFIG and formats == {simple_signing.SIMPLE}
    return manifest.config.media_type in CONFIGS and len(formats) == 1 and None not in formats


def config_to_check(manifest: Manifest) -> Descriptor | None:
    """Return the config blob that must be fetched and satisfy `config_parses`; None for the empty one."""
    config = manifest.config
    return None if config is None or config.digest == EMPTY_DIGEST else config


def config_parses(data: bytes) -> bool:
    """True when this config configures nothing to run: empty, or the one cosign writes beside its signatures."""
    try:
        value = loads(data, Limits.json_depth)
    except Corrupt:
        return False
    if not isinstance(value, dict):
        return False
    known: Mapping[str, object] = {"architecture": "", "os": "", "config": {}, "author": "", "container": ""}
    if any(value[key] != known[key] for key in known.keys() & value.keys()):
        return False
    if not value.keys() <= known.keys() | {"created", "history", "rootfs"}:
        return False
    rootfs = value.get("rootfs", {})
    return isinstance(rootfs, dict) and rootfs.keys() <= {"type", "diff_ids"}


def _document(data: bytes) -> dict[str, object]:
    value = loads(data, Limits.json_depth)
    if not isinstance(value, dict):
        raise Corrupt("not a manifest: no JSON object")
    return value


def _entries(value: Mapping[str, object], key: str) -> list[dict[str, object]]:
    entries = value.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Corrupt(f"not a manifest: {key} is no list of descriptors")
    return entries


def _raw_mark(layer: Mapping[str, object]) -> Mark:
    annotations = layer.get("annotations")
    signature = annotations.get(simple_signing.SIGNATURE, "") if isinstance(annotations, dict) else ""
    return (str(layer.get("digest")), str(signature))


def _same(some: Sequence[Mapping[str, object]], others: Sequence[Mapping[str, object]]) -> bool:
    """True for the same descriptors, in any order."""
    return sorted(map(_sortable, some)) == sorted(map(_sortable, others))


def _sortable(entry: Mapping[str, object]) -> str:
    return json.dumps(entry, sort_keys=True)


def _index(entries: Sequence[Mapping[str, object]], old: Mapping[str, object]) -> bytes:
    head = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return _render({**head, **{k: v for k, v in old.items() if k not in head}})


def _render(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
