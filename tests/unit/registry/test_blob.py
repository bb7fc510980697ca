from __future__ import annotations

import pytest

from proxy.oci.faults import Unavailable
from proxy.oci.operation import PullBlob, PullManifest, StartUpload
from proxy.oci.reference import digest_of
from proxy.registry.blob import kept_back
from proxy.registry.request import Request
from proxy.trust.reason import Reason
from tests.worlds.conversation import ANYBODY, REPO, world
from tests.worlds.images import image

APP = image("app")
CONFIG, LAYER = (digest_of(blob) for blob in APP.blobs)
ASKED = Request(ANYBODY, "r")


async def test_config_and_layers_of_an_allowed_image_are_served_with_their_range() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    for blob in (CONFIG, LAYER):
        answer = await w.blob("team/app", blob)
        assert answer.relayed is not None
        assert digest_of(await answer.relayed.read(10_000)) == blob
    part = await w.say(PullBlob(REPO, LAYER), range="bytes=0-3")
    assert part.status == 206
    assert dict(part.headers)["content-range"].startswith("bytes 0-3/")


async def test_a_manifest_that_could_not_be_judged_is_not_one_that_says_no() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.store.clock.advance(120)
    w.registry.fail(PullManifest, 503, times=99)
    with pytest.raises(Unavailable):
        await kept_back(REPO, LAYER, ASKED, w.ports)
    assert await kept_back(REPO, digest_of(b"unknown"), ASKED, w.ports) is Reason.UNLISTED_BLOB


async def test_an_upload_begins_upstream() -> None:
    w = await world()
    answer = await w.say(StartUpload(REPO))
    assert answer.status == 202
    assert dict(answer.headers)["location"].startswith("/v2/team/app/blobs/uploads/")


async def test_a_whole_blob_in_one_request() -> None:
    w = await world()
    assert (await w.say(StartUpload(REPO, digest_of(b"x")), body=b"x")).status == 201
    assert w.registry.shelf("team/app").blobs[digest_of(b"x")] == b"x"
