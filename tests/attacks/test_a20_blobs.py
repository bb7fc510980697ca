"""Attack 20: layers without the manifest that would have been refused."""

from __future__ import annotations

import json

import pytest

from proxy.oci.faults import Fault
from proxy.oci.operation import PullBlob, PullManifest, PushManifest, StartUpload
from proxy.oci.reference import Digest, parse_digest, parse_repository
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import Policy, PullRules
from tests.worlds.conversation import REPO, SIGN, World, signed_by, user, world
from tests.worlds.denials import denials, denied
from tests.worlds.images import Image, descriptor, dump, image
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.rights import TableRights

BAD, GOOD = image("bad"), image("good")


def layer_of(one: Image) -> Digest:
    return parse_digest(json.loads(one.body)["layers"][0]["digest"])


def sharing(layer: bytes, seed: str) -> Image:
    """An image with a config of its own over a layer that others have too."""
    config = dump({"seed": seed})
    kind = "application/vnd.oci.image.manifest.v1+json"
    body = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }
    return Image(dump(body), kind, (config, layer))


async def mount(w: World, blob: Digest, source: str | None) -> StartUpload:
    """Ask for a mount into team/new and return what upstream was asked."""
    await w.say(StartUpload(parse_repository("team/new"), None, blob, source and parse_repository(source)))  # type: ignore[arg-type]
    asked = w.registry.seen[-1].operation
    assert isinstance(asked, StartUpload)
    return asked


async def test_a_layer_listed_only_by_an_unsigned_manifest() -> None:
    w = await world()
    w.put_behind(BAD, "team/app", "bad")
    await denied(w, lambda: w.blob("team/app", layer_of(BAD)), "unlisted_blob")
    await w.blocked("team/app", "bad")  # now the proxy knows what lists it
    await denied(w, lambda: w.blob("team/app", layer_of(BAD)), "unlisted_blob")


async def test_the_head_of_such_a_layer_answers_only_who_may_push() -> None:
    rights = TableRights(pushers=frozenset({"alice"}))
    w = await world(rights=rights)
    w.put_behind(BAD, "team/app", "bad")
    assert (await w.blob("team/app", layer_of(BAD), user("alice"), head=True)).status == 200
    await denied(w, lambda: w.blob("team/app", layer_of(BAD), head=True), "unlisted_blob")
    await denied(w, lambda: w.blob("team/app", layer_of(BAD), user("alice")), "unlisted_blob")


async def test_a_layer_listed_by_a_verified_manifest_of_another_repository() -> None:
    w = await world()
    await w.push(BAD, "team/signed", "v1")
    w.put_behind(BAD, "team/app")
    assert (await w.blob("team/signed", layer_of(BAD))).status == 200
    await denied(w, lambda: w.blob("team/app", layer_of(BAD)), "unlisted_blob")


async def test_a_blob_that_nothing_lists() -> None:
    w = await world()
    await w.push(GOOD, "team/app", "v1")
    lone = w.registry.put_blob("team/app", b"alone")
    await denied(w, lambda: w.blob("team/app", lone), "unlisted_blob")


async def test_a_blob_that_is_not_there_is_upstreams_to_refuse() -> None:
    w = await world()
    assert (await w.blob("team/app", layer_of(BAD))).status == 404
    assert not denials(w)


async def test_an_upstream_whose_head_denies_what_its_get_serves() -> None:
    w = await world()
    w.put_behind(BAD, "team/app", "bad")

    def shy(seen: Seen) -> Said | None:
        bare = isinstance(seen.operation, PullBlob) and seen.operation.head
        return error(404, "BLOB_UNKNOWN") if bare else None

    w.registry.hooks.append(shy)
    await denied(w, lambda: w.blob("team/app", layer_of(BAD)), "unlisted_blob")


async def test_a_layer_of_an_image_whose_key_was_compromised_since() -> None:
    w = await world()
    await w.push(GOOD, "team/app", "v1")
    assert (await w.blob("team/app", layer_of(GOOD))).status == 200
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), KeyState.COMPROMISED, w.store.clock.now())
    await denied(w, lambda: w.blob("team/app", layer_of(GOOD)), "unlisted_blob")


async def test_blocked_images_that_share_a_layer_do_not_take_it_from_the_signed_one() -> None:
    w = await world()
    base = b"the base layer of everything"
    good = sharing(base, "good")
    await w.push(good, "team/app", "good")
    await w.pull("team/app", "good")
    for n in range(30):
        old = sharing(base, f"old {n}")
        w.put_behind(old, "team/app", f"old{n}")
        await w.blocked("team/app", f"old{n}")
    assert (await w.blob("team/app", layer_of(good))).status == 200
    w.store.clock.advance(3600)
    assert (await w.blob("team/app", layer_of(good))).status == 200


async def test_a_push_that_upstream_refused_lists_nothing() -> None:
    w = await world()
    w.put_behind(BAD, "team/app", "bad")
    lists = sharing(BAD.blobs[1], "lists the bad layer")
    w.registry.fail(PushManifest, 403, times=9)
    op = PushManifest(REPO, lists.digest)
    for blob in lists.blobs:
        w.registry.put_blob("team/app", blob)
    assert (await w.say(op, body=lists.body, content_type=lists.media_type)).status == 403
    await denied(w, lambda: w.blob("team/app", layer_of(BAD)), "unlisted_blob")
    assert not w.signer.made


async def test_who_lists_it_could_not_be_asked() -> None:
    w = await world()
    await w.push(GOOD, "team/app", "v1")
    w.store.clock.advance(120)

    def down(seen: Seen) -> Said | None:
        return error(503, "UNKNOWN") if isinstance(seen.operation, PullManifest) else None

    w.registry.hooks.append(down)
    fault = await denied(w, lambda: w.blob("team/app", layer_of(GOOD)), "not_verifiable")
    assert "Retry-After" in fault.headers


@pytest.mark.parametrize("source", [None, "team/bad", "team/nowhere", "outside/app"])
async def test_mounts_of_what_may_not_be_pulled_become_ordinary_uploads(source: str | None) -> None:
    w = await world(Policy(("team/**",), SIGN.push, SIGN.pull))
    w.put_behind(BAD, "team/bad", "bad")
    w.put_behind(BAD, "outside/app", "bad")
    assert await mount(w, layer_of(BAD), source) == StartUpload(parse_repository("team/new"))
    assert layer_of(BAD) not in w.registry.shelf("team/new").blobs


async def test_a_mount_of_what_is_served_there_is_a_mount() -> None:
    w = await world()
    await w.push(GOOD, "team/good", "v1")
    asked = await mount(w, layer_of(GOOD), "team/good")
    assert asked.mount == layer_of(GOOD)
    assert layer_of(GOOD) in w.registry.shelf("team/new").blobs


async def test_a_mount_goes_with_the_callers_own_credentials() -> None:
    w = await world()
    await w.push(GOOD, "team/good", "v1")
    alice = user("alice")
    op = StartUpload(parse_repository("team/new"), None, layer_of(GOOD), parse_repository("team/good"))
    await w.say(op, alice)
    assert w.registry.seen[-1].authorization == alice.authorization


async def test_a_blob_is_always_read_with_the_callers_own_credentials() -> None:
    registry = MemoryRegistry()
    w = await world(registry=registry)
    await w.push(GOOD, "team/app", "v1")
    registry.hooks.append(lambda s: None if s.authorization else error(401, "UNAUTHORIZED"))
    assert (await w.blob("team/app", layer_of(GOOD), user("alice"))).status == 200
    assert (await w.blob("team/app", layer_of(GOOD))).status == 401


async def test_no_policy_serves_no_blob() -> None:
    w = await world(Policy(("team/**",), SIGN.push, SIGN.pull))
    w.put_behind(GOOD, "outside/app", "v1")
    await denied(w, lambda: w.blob("outside/app", layer_of(GOOD)), "unlisted_blob")


@pytest.mark.parametrize("pull", [PullRules(mode="warn"), PullRules(mode="off"), PullRules(blobs="open")])
async def test_where_blobs_are_open_they_are_served(pull: PullRules) -> None:
    w = await world(Policy(("**",), pull=pull))
    w.put_behind(BAD, "team/app", "bad")
    assert (await w.blob("team/app", layer_of(BAD))).status == 200


async def test_reviewers_get_the_layers_of_what_they_review_and_of_nothing_else() -> None:
    rules = PullRules(require=signed_by("release").require, reviewers=("scanner",))
    w = await world(Policy(("**",), SIGN.push, rules), rights=TableRights(proven=frozenset({"scanner", "bob"})))
    w.put_behind(BAD, "team/app", "bad")
    lone = w.registry.put_blob("team/app", b"alone")
    scanner = user("scanner")
    assert (await w.pull("team/app", "bad", scanner)).body == BAD.body
    assert (await w.blob("team/app", layer_of(BAD), scanner)).status == 200
    await denied(w, lambda: w.blob("team/app", lone, scanner), "unlisted_blob")
    await denied(w, lambda: w.blob("team/app", layer_of(BAD), user("bob")), "unlisted_blob")
    with pytest.raises(Fault):
        await w.blob("team/app", layer_of(BAD))
