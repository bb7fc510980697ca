"""What we write upstream is what the next request reads."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import FinishUpload, PullManifest, PushManifest, StartUpload
from proxy.oci.reference import fallback_tag, parse_reference, signature_tag
from tests.worlds.conversation import REPO, World, world
from tests.worlds.images import image, index
from tests.worlds.registry import MemoryRegistry, Said, Seen


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


def looks(w: World) -> list[PullManifest]:
    """The looks at a tag of ours, without content."""
    asked = [s.operation for s in w.registry.seen]
    return [op for op in asked if isinstance(op, PullManifest) and op.head]


async def test_what_upstream_answered_to_our_write_was_asked_again() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    assert (await w.push(index(image("amd"), image("arm")), "team/app", "v1")).status == 201
    assert looks(w) == []


@pytest.mark.parametrize("named", [None, "sha256:" + "0" * 64, "nonsense"])
async def test_an_answer_that_names_no_digest_or_another_one_proves_nothing(named: str | None) -> None:
    w = await world(registry=MemoryRegistry(referrers=False))

    def lie(seen: Seen, said: Said) -> Said:
        if not isinstance(seen.operation, PushManifest):
            return said
        kept = tuple((k, v) for k, v in said.headers if k != "docker-content-digest")
        return Said(said.status, kept + ((("docker-content-digest", named),) if named else ()), said.body)

    w.registry.lies.append(lie)
    assert (await w.push(image(), "team/app", "v1")).status == 201
    assert {op.reference for op in looks(w)} == {signature_tag(image().digest), fallback_tag(image().digest)}


async def test_a_registry_that_keeps_something_else_than_it_was_given_is_found_out() -> None:
    """It says so in its answer, and again when it is asked."""
    w = await world(registry=MemoryRegistry(referrers=False))
    tag = signature_tag(image().digest)

    def keeps_its_own(seen: Seen, said: Said) -> Said:
        op = seen.operation
        if isinstance(op, PushManifest | PullManifest) and op.reference == tag and said.status < 300:
            w.registry.shelf("team/app").tags[tag] = image("theirs").digest
            return Said(said.status, (("docker-content-digest", image("theirs").digest),), image("theirs").body)
        return said

    w.registry.put_manifest("team/app", image("theirs").body, image("theirs").media_type)
    w.registry.lies.append(keeps_its_own)
    with pytest.raises(Fault, match="not signed"):
        await w.push(image(), "team/app", "v1")
