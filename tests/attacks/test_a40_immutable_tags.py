"""Attack 40: what is under an immutable tag is replaced or taken apart: deleted itself, its children, its layers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import DeleteBlob, DeleteManifest, ListTags, PullManifest, PushManifest
from proxy.oci.reference import parse_digest, parse_tag
from proxy.registry.cache import Cache
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import REPO, SIGN, World, world
from tests.worlds.denials import denied
from tests.worlds.images import Image, image, index
from tests.worlds.registry import Seen

FIRST, SECOND = image("first"), image("second")
LEAF = image("leaf")
NESTED = index(index(LEAF, image("beside")))
V1 = parse_tag("v1")
FORMATS = [("cosign-simple", "sigstore-bundle"), ("sigstore-bundle",), ("cosign-simple",), ()]


async def scene(formats: tuple[str, ...] = FORMATS[0], limits: Limits | None = None) -> World:
    rules = PushRules(("release",) if formats else (), formats or FORMATS[0], immutable_tags=("v*",))
    return await world(Policy(("**",), rules, SIGN.pull), limits=limits)


async def stays(w: World, *digests: str) -> None:
    for digest in digests:
        await denied(w, lambda digest=digest: w.say(DeleteManifest(REPO, parse_digest(digest))), "tag_immutable")  # type: ignore[misc]


async def blob_stays(w: World, blob: bytes) -> None:
    digest = parse_digest(next(d for d, data in w.registry.shelf("team/app").blobs.items() if data == blob))
    await denied(w, lambda: w.say(DeleteBlob(REPO, digest)), "tag_immutable")


@pytest.mark.parametrize("formats", FORMATS)
async def test_what_was_pushed_neither_moves_nor_goes_whatever_it_is_signed_with(
    formats: tuple[str, ...],
) -> None:
    w = await scene(formats)
    assert (await w.push(FIRST, "team/app", "v1")).status == 201
    await denied(w, lambda: w.push(SECOND, "team/app", "v1"), "tag_immutable")
    await stays(w, FIRST.digest)
    await blob_stays(w, FIRST.blobs[1])
    assert w.tag("team/app", "v1") == FIRST.digest
    assert (await w.push(FIRST, "team/app", "v1")).status == 201


async def test_an_image_that_lost_its_tag_behind_our_back_leaves_the_tag_taken() -> None:
    w = await scene()
    await w.push(FIRST, "team/app", "v1")
    w.registry.shelf("team/app").tags.pop("v1")
    w.registry.shelf("team/app").manifests.pop(FIRST.digest)
    await denied(w, lambda: w.push(SECOND, "team/app", "v1"), "tag_immutable")
    assert (await w.push(FIRST, "team/app", "v1")).status == 201


@pytest.mark.parametrize("known", [True, False], ids=["pushed", "adopted"])
async def test_children_and_layers_at_every_level_stay(known: bool) -> None:
    w = await scene()
    if known:
        await w.push(NESTED, "team/app", "v1")
    else:
        w.put_behind(NESTED, "team/app", "v1")
    await stays(w, LEAF.digest, NESTED.children[0].digest, NESTED.digest)
    await blob_stays(w, LEAF.blobs[0])
    await blob_stays(w, LEAF.blobs[1])
    loose = image("loose")
    await w.push(loose, "team/app", "latest")
    assert (await w.say(DeleteManifest(REPO, loose.digest))).status == 202


async def test_an_adopted_image_stays_and_its_tag_does_not_move() -> None:
    w = await scene()
    w.put_behind(FIRST, "team/app", "v1", "latest")
    await stays(w, FIRST.digest)
    fact = (await w.store.tags.find(REPO, [V1]))[V1]
    assert (fact.digest, fact.by, fact.how) == (FIRST.digest, "", "upstream")
    await denied(w, lambda: w.push(SECOND, "team/app", "v1"), "tag_immutable")
    w = await scene()
    w.put_behind(FIRST, "team/app", "v1")
    await denied(w, lambda: w.push(SECOND, "team/app", "v1"), "tag_immutable")
    assert (await w.store.tags.find(REPO, [V1]))[V1].digest == FIRST.digest
    assert (await w.push(FIRST, "team/app", "v1")).status == 201


@pytest.mark.parametrize("silent", [ListTags, PullManifest])
@pytest.mark.parametrize("status", [401, 403, 429, 500, 0])
async def test_who_cannot_look_upstream_deletes_nothing(silent: type, status: int) -> None:
    w = await scene()
    w.put_behind(FIRST, "team/app", "v1")
    w.registry.fail(silent, status, times=100)
    await denied(w, lambda: w.say(DeleteManifest(REPO, SECOND.digest)), "tag_immutable")


async def test_more_tags_than_one_deletion_may_look_at_are_looked_at_by_the_next_ones() -> None:
    w = await scene(limits=Limits(tag_age_s=0, tags_looked_at=20))
    for n in range(25):
        w.put_behind(image(f"adopted {n}"), "team/app", f"v{n}")
    last, loose = image("adopted 24"), image("loose")
    w.put_behind(loose, "team/app", "latest")
    refusals = 0
    while True:
        asked = len(w.registry.seen)
        try:
            assert (await w.say(DeleteManifest(REPO, loose.digest))).status == 202
            break
        except Fault as fault:
            assert fault.reason == "tag_immutable"
            assert len(w.registry.seen) - asked < 30
            refusals += 1
    assert 2 <= refusals <= 4
    await stays(w, last.digest)


async def test_a_repository_without_such_tags_is_asked_nothing_more() -> None:
    w = await world()
    await w.push(FIRST, "team/app", "v1")
    seen = len(w.registry.seen)
    assert (await w.say(DeleteManifest(REPO, FIRST.digest))).status == 202
    assert not [s for s in w.registry.seen[seen:] if isinstance(s.operation, ListTags)]


async def test_signers_write_their_lists_where_every_tag_is_immutable() -> None:
    w = await world(Policy(("**",), PushRules(("release",), immutable_tags=("*",)), SIGN.pull))
    await w.push(FIRST, "team/app", "v1")
    await w.push(FIRST, "team/app", "v2")
    sig = FIRST.digest.replace(":", "-") + ".sig"
    body = w.registry.shelf("team/app").manifests[w.registry.shelf("team/app").tags[sig]][1]
    op = PushManifest(REPO, parse_tag(sig))
    changed = body.replace(b'"schemaVersion":2', b'"schemaVersion": 2')
    assert (await w.say(op, body=changed, content_type="application/vnd.oci.image.manifest.v1+json")).status == 201


async def test_two_servers_and_one_new_tag_exactly_one_image_wins() -> None:
    """Rule 40: 25 rounds, both at once; the one that lost is refused, and every look says the same."""
    w = await scene()
    w.store.tags.sole = False
    memory = Cache(w.ports.limits, w.store.clock.monotonic)
    other = replace(w, ports=replace(w.ports, cache=memory))

    async def slowly(_seen: Seen) -> None:
        await asyncio.sleep(0)

    w.registry.pause = slowly
    for n in range(25):
        tag, images = f"v{n}", (image(f"a{n}"), image(f"b{n}"))
        pushes = [_status(at, one, tag) for at, one in zip((w, other), images, strict=True)]
        statuses = await asyncio.gather(*pushes)
        assert sorted(statuses) == [201, 403]
        winner = images[statuses.index(201)].digest
        assert w.tag("team/app", tag) == winner
        assert (await w.store.tags.find(REPO, [parse_tag(tag)]))[parse_tag(tag)].digest == winner


async def _status(w: World, one: Image, tag: str) -> int:
    try:
        return (await w.push(one, "team/app", tag)).status
    except Fault as fault:
        assert fault.reason == "tag_immutable"
        return fault.status
