"""An image that was pushed, and the lists of signatures that somebody pushes beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from proxy.formats import carrier
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST
from proxy.oci.operation import PushManifest
from proxy.oci.reference import fallback_tag, parse_reference, signature_tag
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.images import dump, image
from tests.worlds.registry import MemoryRegistry
from tests.worlds.softkey import about, soft_key

APP = image("app")
SIG, FALLBACK = signature_tag(APP.digest), fallback_tag(APP.digest)
STRANGER = soft_key(name="stranger")
Raw = Mapping[str, Any]


async def pushed(*, referrers: bool = False, limits: Limits | None = None) -> World:
    """A proxy through which the image was pushed."""
    w = await world(registry=MemoryRegistry(referrers=referrers), limits=limits)
    await w.push(APP, "team/app", "v1")
    return w


def body_of(w: World, tag: str, repo: str = "team/app") -> bytes:
    """What upstream has under that tag."""
    shelf = w.registry.shelf(repo)
    return shelf.manifests[shelf.tags[tag]][1]


def layers(w: World) -> list[Raw]:
    """The layers of the `.sig` upstream."""
    found: list[Raw] = json.loads(body_of(w, SIG))["layers"]
    return found


def entries(w: World) -> list[str]:
    """The digests that the fallback tag lists upstream."""
    return [entry["digest"] for entry in json.loads(body_of(w, FALLBACK))["manifests"]]


def of_stranger(w: World, n: int = 0, repo: str = "team/app") -> Raw:
    """A layer signed by a stranger; its payload is upstream."""
    layer = STRANGER.layer("cosign-simple", APP.digest, f"elsewhere/{n}")
    w.registry.put_blob(repo, layer.data)
    return carrier.describe(layer.descriptor)


def sig(*layers: Raw) -> bytes:
    """A `.sig` of exactly these layers."""
    return dump({**json.loads(carrier.sig_manifest(None, [about(APP.digest)]) or b""), "layers": layers})


def listing(*entries: Raw) -> bytes:
    """An index of exactly these entries."""
    return dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


async def put(w: World, tag: str, body: bytes, kind: str = OCI_MANIFEST) -> Mapping[str, str]:
    """Push it under that tag as somebody, be answered 201, and return the headers."""
    op = PushManifest(REPO, parse_reference(tag))
    answer = await w.say(op, user("mallory"), body, content_type=kind)
    assert answer.status == 201
    return dict(answer.headers)


def writes(w: World, tag: str) -> list[bytes]:
    """What upstream was asked to put under that tag, so far."""
    return [
        seen.body
        for seen in w.registry.seen
        if isinstance(seen.operation, PushManifest) and tag in (seen.operation.reference, *seen.operation.tags)
    ]
