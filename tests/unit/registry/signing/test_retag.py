from __future__ import annotations

import asyncio
import json

import pytest

from proxy.journal.event import EventKind
from proxy.oci.operation import PullManifest, PushManifest
from proxy.oci.reference import parse_tag, signature_tag
from proxy.registry.request import Request
from proxy.registry.signing.retag import finish
from proxy.registry.writing.tags import held
from proxy.trust.keys import TrustedKey
from proxy.trust.ledger import Stage
from proxy.trust.policy import Policy
from tests.worlds.conversation import ANYBODY, REPO, World, signed_by, world
from tests.worlds.foreign import put_sig
from tests.worlds.images import Image, image, index
from tests.worlds.registry import Said, Seen, error
from tests.worlds.softkey import soft_key

OLD, NEW = image("old"), image("new")
OWN = "proxy.example/team/app"


async def pushed(w: World, of: Image, *tags: str) -> None:
    for tag in tags:
        await w.push(of, "team/app", tag)
    await w.ports.cache.settle()


def names(w: World, of: Image) -> list[str]:
    """What the simple signatures in the `.sig` of this image are bound to."""
    shelf = w.registry.shelf("team/app")
    layers = json.loads(shelf.manifests[shelf.tags[signature_tag(of.digest)]][1])["layers"]
    payloads = [json.loads(shelf.blobs[layer["digest"]]) for layer in layers]
    return sorted(p["critical"]["identity"]["docker-reference"] for p in payloads)


async def recorded(w: World, of: Image) -> list[str]:
    entries = await w.store.ledger.entries(REPO, of.digest)
    return sorted(e.key.bound for e in entries if e.key.format == "cosign-simple")


async def test_what_named_the_tag_leaves_the_image_that_the_tag_left() -> None:
    w = await world()
    await pushed(w, OLD, "v1", "latest")
    await pushed(w, NEW, "latest")
    assert names(w, OLD) == await recorded(w, OLD) == [OWN, f"{OWN}:v1"]
    assert names(w, NEW) == await recorded(w, NEW) == [OWN, f"{OWN}:latest"]
    (removed,) = [e for e in w.store.journal.events if e.kind is EventKind.SIGNATURE_REMOVED]
    assert (removed.digest, removed.reference) == (OLD.digest, f"{OWN}:latest")
    assert (await w.pull("team/app", "v1")).status == (await w.pull("team/app", OLD.digest)).status == 200


async def test_who_compares_names_no_longer_takes_the_old_image_for_the_tag() -> None:
    w = await world()
    (key,) = w.store.keybook.ring().ours
    await pushed(w, OLD, "latest")
    exact = TrustedKey("elsewhere", key.spki, "exact")
    policy = Policy(("**",), pull=signed_by("elsewhere"))
    before = await world(policy, registry=w.registry, trusted=(exact,))
    assert (await before.pull("team/app", "latest")).body == OLD.body
    await pushed(w, NEW, "latest")
    after = await world(policy, registry=w.registry, trusted=(exact,))
    assert (await after.pull("team/app", "latest")).body == NEW.body
    w.registry.shelf("team/app").tags["latest"] = OLD.digest  # behind everybody's back
    assert await after.blocked("team/app", "latest") == "wrong_identity"


async def test_a_tag_that_moves_back_is_signed_as_before_and_nothing_is_signed_twice() -> None:
    w = await world()
    await pushed(w, OLD, "latest")
    await pushed(w, NEW, "latest")
    made = len(w.signer.made)
    await pushed(w, OLD, "latest")
    assert names(w, OLD) == await recorded(w, OLD) == [OWN, f"{OWN}:latest"]
    assert names(w, NEW) == [OWN]
    assert len(w.signer.made) == made


async def test_children_that_the_new_index_does_not_have_go_the_same_way() -> None:
    shared, left, came = image("shared"), image("left"), image("came")
    w = await world()
    await pushed(w, index(shared, left), "latest")
    await pushed(w, index(shared, came), "latest")
    assert names(w, shared) == names(w, came) == [OWN, f"{OWN}:latest"]
    assert names(w, left) == names(w, index(shared, left)) == [OWN]


async def test_layers_of_other_people_stay() -> None:
    w = await world()
    theirs = soft_key().layer("cosign-simple", OLD.digest)
    put_sig(w.registry, "team/app", OLD.digest, theirs)
    await pushed(w, OLD, "latest")
    there = names(w, OLD)
    assert len(there) == 3
    await pushed(w, NEW, "latest")
    there.remove(f"{OWN}:latest")
    assert names(w, OLD) == there
    assert len(there) == 2


async def test_a_new_tag_and_the_same_image_again_cost_nothing() -> None:
    w = await world()
    await pushed(w, OLD, "v1")
    await w.push(NEW, "team/app", "v2")
    seen = len(w.registry.seen)
    await w.ports.cache.settle()
    assert len(w.registry.seen) == seen
    await w.push(NEW, "team/app", "v2")
    seen = len(w.registry.seen)
    await w.ports.cache.settle()
    assert len(w.registry.seen) == seen


@pytest.mark.parametrize("status", [401, 403, 500, 0])
async def test_what_cannot_be_done_now_is_left_to_the_next_push(status: int) -> None:
    w = await world()
    await pushed(w, OLD, "latest")
    sig = signature_tag(OLD.digest)
    refuse = True

    def guarded(seen: Seen) -> Said | None:
        refused = refuse and isinstance(seen.operation, PushManifest) and seen.operation.reference == sig
        return error(status or 503, "DENIED") if refused else None

    w.registry.hooks.append(guarded)
    await pushed(w, NEW, "latest")
    assert w.tag("team/app", "latest") == NEW.digest
    assert names(w, OLD) == await recorded(w, OLD) == [OWN, f"{OWN}:latest"]
    refuse = False
    await pushed(w, NEW, "latest")
    assert names(w, OLD) == await recorded(w, OLD) == [OWN]


async def test_a_tag_that_points_elsewhere_by_now_or_cannot_be_seen_changes_nothing() -> None:
    w = await world()
    await pushed(w, OLD, "latest")
    await w.push(NEW, "team/app", "latest")
    w.registry.shelf("team/app").tags["latest"] = OLD.digest
    await w.ports.cache.settle()
    assert names(w, OLD) == [OWN, f"{OWN}:latest"]
    await w.push(NEW, "team/app", "latest")
    w.registry.fail(PullManifest, 503)
    await w.ports.cache.settle()
    assert names(w, OLD) == [OWN, f"{OWN}:latest"]


async def test_while_somebody_holds_the_tag_nothing_is_dropped() -> None:
    w = await world()
    await pushed(w, OLD, "latest")
    w.registry.shelf("team/app").tags["latest"] = NEW.digest
    await w.push(NEW, "team/app")
    async with held(REPO, [parse_tag("latest")], w.ports):
        clearing = asyncio.create_task(finish(REPO, parse_tag("latest"), Request(ANYBODY, "r"), w.ports))
        for _ in range(50):
            await asyncio.sleep(0)
        assert names(w, OLD) == [OWN, f"{OWN}:latest"]
    await clearing
    assert names(w, OLD) == [OWN]


async def test_pushed_to_and_fro_at_once_the_winner_is_signed_for_the_tag() -> None:
    w = await world()
    await pushed(w, OLD, "v1")
    await pushed(w, NEW, "v2")
    for _ in range(5):
        await crowd(w)
        winner = OLD if w.tag("team/app", "latest") == OLD.digest else NEW
        assert f"{OWN}:latest" in names(w, winner)
        entries = await w.store.ledger.bound(REPO, f"{OWN}:latest")
        assert [(e.key.digest, e.stage) for e in entries] == [(winner.digest, Stage.ATTACHED)]


async def crowd(w: World) -> None:
    async def slowly(_seen: Seen) -> None:
        await asyncio.sleep(0.001)

    w.registry.pause = slowly
    await asyncio.gather(*(w.push(of, "team/app", "latest") for of in (OLD, NEW, OLD, NEW)))
    await w.ports.cache.settle()
