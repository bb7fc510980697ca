"""What we write upstream is what the next request reads."""

from __future__ import annotations

from proxy.oci.limits import Limits
from proxy.oci.operation import PullManifest
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
