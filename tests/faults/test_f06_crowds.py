"""Fault 6: many at once. One signature each, none lost, and lists that stay as short as cosign wants them."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace

import pytest

from proxy.formats import carrier
from proxy.oci.faults import Fault
from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import Operation, PushManifest
from proxy.oci.reference import Tag, fallback_tag, parse_reference, signature_tag
from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Response
from proxy.registry.signing.attach import layer_of
from proxy.registry.signing.sign import SIMPLE
from proxy.trust.ledger import Stage
from tests.worlds.conversation import HOST, REPO, SIGN, World, user, world
from tests.worlds.crash import restarted
from tests.worlds.images import image, index
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen, basic
from tests.worlds.softkey import soft_key

APP = image("app")
SIG, FALLBACK = signature_tag(APP.digest), fallback_tag(APP.digest)

OURS = f"{HOST}/team/app"


async def jitter(_: Seen) -> None:
    for _turn in range(random.randrange(4)):  # noqa: S311  # any order will do
        await asyncio.sleep(0)


def listed(w: World, tag: Tag, key: str) -> list[dict[str, object]]:
    shelf = w.registry.shelf("team/app")
    found: list[dict[str, object]] = json.loads(shelf.manifests[shelf.tags[tag]][1])[key]
    return found


@pytest.mark.parametrize("referrers", [True, False])
async def test_fifty_clients_push_one_digest(referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    w.registry.pause = jitter
    answers = await asyncio.gather(*(w.push(APP, "team/app", "v1", user(f"u{n}")) for n in range(50)))
    assert {a.status for a in answers} == {201}
    assert len(w.signer.made) == 3
    assert len(listed(w, SIG, "layers")) == 2
    if not referrers:
        assert len(listed(w, FALLBACK, "manifests")) == 1


async def test_fifty_clients_push_one_digest_under_fifty_tags() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    w.registry.pause = jitter
    answers = await asyncio.gather(*(w.push(APP, "team/app", f"v{n}", user(f"u{n}")) for n in range(50)))
    assert {a.status for a in answers} == {201}
    assert len(w.signer.made) == 52
    assert len(listed(w, SIG, "layers")) == 32
    assert {w.tag("team/app", f"v{n}") for n in range(50)} == {APP.digest}


async def test_two_hundred_tags_on_one_digest() -> None:
    """`.sig` stays bounded, holds the newest, and a client can still add a signature of its own."""
    w = await world()
    for n in range(200):
        w.store.clock.advance(1)
        await w.push(APP, "team/app", f"v{n}")
        layers = listed(w, SIG, "layers")
        assert len(layers) <= w.ports.limits.own_layers
        entry = next(e for e in await w.store.ledger.entries(REPO, APP.digest) if e.key.bound.endswith(f":v{n}"))
        marks = {(d["digest"], d["annotations"]["dev.cosignproject.cosign/signature"]) for d in layers}  # type: ignore[index]
        assert carrier.mark(layer_of(entry, w.ports)) in marks
    entries = await w.store.ledger.entries(REPO, APP.digest)
    plain = next(e for e in entries if e.key.bound == OURS and e.key.format == SIMPLE)
    assert carrier.mark(layer_of(plain, w.ports)) in marks
    assert (await w.pull("team/app", "v0")).status == 200
    theirs = soft_key().layer("cosign-simple", APP.digest)
    w.registry.put_blob("team/app", theirs.data)
    shelf = w.registry.shelf("team/app")
    more = carrier.sig_manifest(shelf.manifests[shelf.tags[SIG]][1], [theirs.descriptor])
    assert more is not None
    op = PushManifest(REPO, SIG)
    assert (await w.say(op, user("alice"), more, content_type=OCI_MANIFEST)).status == 201
    await w.push(APP, "team/app", "one-more")
    assert len(listed(w, SIG, "layers")) == 33


@pytest.mark.parametrize("tag", [SIG, FALLBACK])
async def test_two_proxies_write_one_list_and_nothing_is_lost(tag: Tag) -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    w.registry.pause = jitter
    other = restarted(w)
    pushes = [p.push(APP, "team/app", f"{name}{n}") for n in range(5) for name, p in (("a", w), ("b", other))]
    done = await asyncio.gather(*pushes, return_exceptions=True)
    for n, result in enumerate(done):  # a loser of too many races is told to push again, and does
        if isinstance(result, BaseException):
            assert isinstance(result, Fault)
            assert result.reason == "not_signed"
            await w.push(APP, "team/app", f"{'ab'[n % 2]}{n // 2}")
    await w.push(APP, "team/app", "last")
    entries = await w.store.ledger.entries(REPO, APP.digest)
    assert {e.stage for e in entries} == {Stage.ATTACHED}
    if tag == SIG:
        assert len(listed(w, SIG, "layers")) == 12
    else:
        assert len(listed(w, FALLBACK, "manifests")) == 1


async def test_indexes_that_share_children_pushed_at_once() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    w.registry.pause = jitter
    shared = image("shared")
    several = [index(shared, image(f"own {n}")) for n in range(8)]
    answers = await asyncio.gather(*(w.push(one, "team/app", f"v{n}") for n, one in enumerate(several)))
    assert {a.status for a in answers} == {201}
    keys = [(f, m) for f, m in w.signer.made]
    assert len(keys) == len(set(keys))
    for one in several:
        assert (await w.pull("team/app", one.digest)).body == one.body


async def test_lists_that_cross_each_other_hold_nobody_up() -> None:
    """Two pushes, each under the signature tag of what the other one pushes: locks taken in either order."""
    w = await world()
    w.registry.pause = jitter
    one, two = image("one"), image("two")
    async with asyncio.timeout(5):
        done = await asyncio.gather(
            *(w.push(one, "team/app", signature_tag(two.digest)) for _ in range(5)),
            *(w.push(two, "team/app", signature_tag(one.digest)) for _ in range(5)),
            return_exceptions=True,
        )
    assert all(isinstance(r, Response | Fault) for r in done)


async def test_one_immutable_tag_and_two_images_for_it() -> None:
    policy = replace(SIGN, push=replace(SIGN.push, immutable_tags=("v*",)))
    w = await world(policy)
    w.registry.pause = jitter
    several = [image(f"n{n}") for n in range(10)]
    done = await asyncio.gather(*(w.push(one, "team/app", "v1") for one in several), return_exceptions=True)
    accepted = [one for one, result in zip(several, done, strict=True) if isinstance(result, Response)]
    assert len(accepted) == 1
    assert w.tag("team/app", "v1") == accepted[0].digest
    assert {r.reason for r in done if isinstance(r, Fault)} == {"tag_immutable"}


def steps(w: World) -> list[Operation]:
    return [seen.operation for seen in w.registry.seen]


async def tokens() -> tuple[World, dict[str, float]]:
    """A registry behind a token server whose time the test moves."""
    now = {"t": 0.0}
    access = Access("token", users={"alice": "secret"}, now=lambda: now["t"], life_s=60)
    return await world(registry=MemoryRegistry(referrers=False, access=access)), now


def token(w: World, *actions: str) -> str:
    scope = f"repository:team/app:{','.join(actions or ('pull', 'push'))}"
    said = w.registry.access.token((("scope", scope),), basic("alice", "secret"))
    return str(json.loads(said.body)["token"])


async def test_a_token_that_expires_in_the_middle_is_answered_with_the_challenge_and_the_retry_converges() -> None:
    w, now = await tokens()
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    op = PushManifest(REPO, parse_reference("v1"))
    await w.say(op, Credential(f"Bearer {token(w)}"), APP.body, content_type=APP.media_type)
    whole = len(w.registry.seen)
    for after in range(whole):
        w, now = await tokens()
        for blob in APP.blobs:
            w.registry.put_blob("team/app", blob)

        def expires(_: Seen, w: World = w, now: dict[str, float] = now, after: int = after) -> Said | None:
            if len(w.registry.seen) > after:
                now["t"] = 61.0
            return None

        w.registry.hooks.append(expires)
        try:
            answer = await w.say(op, Credential(f"Bearer {token(w)}"), APP.body, content_type=APP.media_type)
            status, challenge = answer.status, dict(answer.headers).get("www-authenticate", "")
        except Fault as fault:
            status, challenge = fault.status, fault.headers.get("WWW-Authenticate", "")
        assert status == 401, (after, steps(w)[after])
        assert challenge.startswith("Bearer realm=")
        assert w.tag("team/app", "v1") in {None, APP.digest}
        w.registry.hooks.clear()
        now["t"] = 100.0
        answer = await w.say(op, Credential(f"Bearer {token(w)}"), APP.body, content_type=APP.media_type)
        assert answer.status == 201
        assert len(w.signer.made) == 3
        assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.ATTACHED}
        assert len(listed(w, SIG, "layers")) == 2
        assert len(listed(w, FALLBACK, "manifests")) == 1


async def test_a_queue_that_is_full_says_so_and_moves_no_tag() -> None:
    w = await world()

    async def full(*_: object) -> bytes:
        raise Fault("TOOMANYREQUESTS", "the sign queue is full; push again")

    w.signer.sign = full  # type: ignore[method-assign, assignment]
    with pytest.raises(Fault) as refused:
        await w.push(APP, "team/app", "v1")
    assert refused.value.status == 429
    assert w.tag("team/app", "v1") is None


async def test_a_crowd_at_one_new_tag_asks_upstream_once_for_each_thing() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    again = restarted(w)
    w.registry.pause = jitter
    before = len(w.registry.seen)
    answers = await asyncio.gather(*(again.pull("team/app", "v1") for _ in range(500)))
    assert {a.body for a in answers} == {APP.body}
    await again.ports.cache.settle()
    assert len(w.registry.seen) - before < 10
