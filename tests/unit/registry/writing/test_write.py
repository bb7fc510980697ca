"""What we write upstream is what the next request reads."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import FinishUpload, PullManifest, StartUpload
from proxy.oci.reference import fallback_tag, parse_reference, signature_tag
from tests.worlds.conversation import REPO, world
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry


async def test_a_list_of_signatures_is_never_served_from_before_we_wrote_it() -> None:
    """Tags are remembered for a moment; the clock stands still here, so a remembered one would be served."""
    w = await world(registry=MemoryRegistry(referrers=False), limits=Limits(tag_age_s=60))
    await w.push(image(), "team/app", "v1")
    lists = [parse_reference(signature_tag(image().digest)), parse_reference(fallback_tag(image().digest))]
    before = [(await w.say(PullManifest(REPO, tag))).body for tag in lists]
    await w.push(image(), "team/app", "v2")
    after = [(await w.say(PullManifest(REPO, tag))).body for tag in lists]
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert after[0] == w.registry.shelf("team/app").manifests[w.tag("team/app", lists[0]) or ""][1]


async def test_blobs_upstream_lost_are_written_again_for_the_same_push() -> None:
    w = await world()
    await w.push(image(), "team/app", "v1")
    w.registry.shelf("team/app").blobs.clear()  # what we believe to be there is gone
    pushed = await w.push(image(), "team/app", "v2")
    assert pushed.status == 201


async def test_where_upstream_takes_a_blob_in_one_request_it_gets_one() -> None:
    w = await world()
    await w.push(image(), "team/app", "v1")
    assert w.registry.count(FinishUpload) == 0
    assert w.ports.cache.single_post == {REPO: True}


@pytest.mark.parametrize("refusal", [None, 400, 405])
async def test_where_it_does_not_it_is_asked_once_and_gets_two_from_then_on(refusal: int | None) -> None:
    w = await world()
    w.registry.single_post = False
    if refusal is not None:
        w.registry.fail(StartUpload, refusal)
    w.ports.cache.blobs.clear()
    assert (await w.push(image(), "team/app", "v1")).status == 201
    assert w.ports.cache.single_post == {REPO: False}
    before = w.registry.count(FinishUpload)
    assert before >= 3
    assert (await w.push(image("next"), "team/app", "v2")).status == 201
    tried = [s.operation.digest for s in w.registry.seen if isinstance(s.operation, StartUpload)]
    assert tried[-3:] == [None] * 3
    assert w.registry.count(FinishUpload) == before + 3


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_what_is_no_answer_about_one_request_teaches_nothing(status: int) -> None:
    w = await world()
    w.registry.fail(StartUpload, status, times=100)
    with pytest.raises((Fault, Unavailable)):
        await w.push(image(), "team/app", "v1")
    assert not w.ports.cache.single_post
