"""Signatures of other people, in the places where they live."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.formats import carrier
from proxy.formats.format import Layer
from proxy.formats.table import claimed_by
from proxy.oci.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Descriptor
from proxy.oci.reference import Digest, fallback_tag, signature_tag
from proxy.trust.keys import Identity, TrustedKey
from tests.worlds.conversation import World
from tests.worlds.images import dump
from tests.worlds.memory import NOON
from tests.worlds.registry import MemoryRegistry
from tests.worlds.softkey import SoftKey

EMPTY = b"{}"


def trusted(key: SoftKey, name: str = "partner", identity: Identity = "any") -> TrustedKey:
    """The key as configuration has it."""
    return TrustedKey(name, key.spki, identity)


def put_sig(registry: MemoryRegistry, repo: str, subject: Digest, *layers: Layer) -> Digest:
    """Put a `.sig` manifest of these layers upstream."""
    registry.put_blob(repo, EMPTY)
    for layer in layers:
        registry.put_blob(repo, layer.data)
    body = carrier.sig_manifest(None, [layer.descriptor for layer in layers])
    assert body is not None
    return registry.put_manifest(repo, body, OCI_MANIFEST, signature_tag(subject))


def put_bundle(w: World, repo: str, subject: Descriptor, layer: Layer) -> Digest:
    """Put a bundle, or a signature of Notary, upstream as a referrer, listed by the API or in the fallback tag."""
    w.registry.put_blob(repo, EMPTY)
    w.registry.put_blob(repo, layer.data)
    kind = layer.descriptor.media_type
    form = claimed_by(kind)
    artifact_type = kind if form is None or kind in form.artifact_types else next(iter(form.artifact_types))
    body = carrier.referrer_manifest(subject, layer.descriptor, artifact_type, {}, NOON)
    digest = w.registry.put_manifest(repo, body, OCI_MANIFEST)
    if not w.registry.referrers:
        entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body), "artifactType": OCI_EMPTY}
        list_in_fallback(w.registry, repo, subject.digest, [entry])
    return digest


def list_in_fallback(
    registry: MemoryRegistry, repo: str, subject: Digest, entries: Sequence[dict[str, object]]
) -> Digest:
    """Put an index of these entries under the fallback tag."""
    body = dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})
    return registry.put_manifest(repo, body, OCI_INDEX, fallback_tag(subject))
