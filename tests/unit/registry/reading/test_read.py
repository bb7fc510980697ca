from __future__ import annotations

import pytest

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PullBlob, PullManifest
from proxy.oci.reference import digest_of, parse_reference
from proxy.registry.reading.read import read_blob, read_manifest
from proxy.registry.request import Request
from tests.worlds.conversation import ANYBODY, REPO, world
from tests.worlds.images import image
from tests.worlds.registry import Said

APP = image("app")
ASKED = Request(ANYBODY, "r")
V1 = parse_reference("v1")


async def test_what_is_there_what_is_not_and_what_nobody_knows() -> None:
    w = await world()
    assert await read_manifest(REPO, V1, ASKED.fresh(), w.ports) is None
    w.put_behind(APP, "team/app", "v1")
    found = await read_manifest(REPO, V1, ASKED.fresh(), w.ports)
    assert found is not None
    assert len(found.layers) == 1
    w.registry.fail(PullManifest, 403)
    with pytest.raises(Unavailable, match="403"):
        await read_manifest(REPO, V1, ASKED.fresh(), w.ports)


async def test_bytes_are_held_against_their_digest() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "v1")
    w.registry.hooks.append(
        lambda s: Said(200, (), b"{}") if isinstance(s.operation, PullManifest | PullBlob) else None
    )
    with pytest.raises(Corrupt, match="other bytes"):
        await read_manifest(REPO, APP.digest, ASKED.fresh(), w.ports)
    with pytest.raises(Corrupt, match="other bytes"):
        await read_blob(REPO, Descriptor("x", digest_of(b"x"), 1), ASKED.fresh(), w.ports)


async def test_blobs_that_are_too_large_are_not_asked_for() -> None:
    w = await world()
    with pytest.raises(Fault) as refused:
        await read_blob(REPO, Descriptor("x", digest_of(b"x"), 2 << 20), ASKED.fresh(), w.ports)
    assert refused.value.reason == "too_large"
    assert not w.registry.seen
    with pytest.raises(Corrupt, match="listed but not there"):
        await read_blob(REPO, Descriptor("x", digest_of(b"x"), 1), ASKED.fresh(), w.ports)
