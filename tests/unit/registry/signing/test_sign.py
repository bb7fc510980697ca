from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.operation import PushManifest
from proxy.oci.reference import digest_of, parse_tag
from proxy.registry.signing.sign import SIMPLE, bound_to, sign, wanted
from proxy.trust.actor import Actor
from proxy.trust.ledger import Stage
from tests.worlds.certificates import certify
from tests.worlds.conversation import REPO, world
from tests.worlds.images import image
from tests.worlds.softkey import about

BY = Actor("bob", "basic", "", "r")

SUBJECT = digest_of(b"subject")
BUNDLE = "sigstore-bundle"


async def test_what_a_push_wants() -> None:
    w = await world()
    tag = parse_tag("v1")
    own, tagged = "proxy.example/team/app", "proxy.example/team/app:v1"
    assert (bound_to(REPO, None, w.ports), bound_to(REPO, tag, w.ports)) == (own, tagged)
    assert wanted((SIMPLE, BUNDLE), REPO, (), w.ports) == [(SIMPLE, own)]
    assert wanted((SIMPLE, BUNDLE), REPO, (tag,), w.ports) == [(SIMPLE, own), (BUNDLE, own), (SIMPLE, tagged)]
    assert wanted((BUNDLE,), REPO, (tag,), w.ports) == [(BUNDLE, own)]


async def test_intent_then_signature_then_bytes_and_never_twice() -> None:
    w = await world()
    pairs = wanted((SIMPLE,), REPO, (), w.ports)
    w.signer.down = "gone"
    with pytest.raises(Unavailable, match="gone"):
        await sign(REPO, about(SUBJECT), pairs, ("release",), {}, BY, w.ports)
    (entry,) = w.store.ledger.rows.values()
    assert (entry.stage, entry.signature) == (Stage.INTENDED, None)
    w.signer.down = None
    (first,) = await sign(REPO, about(SUBJECT), pairs, ("release",), {"pusher": "bob"}, BY, w.ports)
    (again,) = await sign(REPO, about(SUBJECT), pairs, ("release",), {"pusher": "eve"}, BY, w.ports)
    assert first.signature == again.signature
    assert first.message == entry.message == w.signer.made[0][1]
    assert len(w.signer.made) == 1
    assert w.store.journal.kinds() == [EventKind.SIGNED]


async def test_no_active_key_is_the_world_not_answering() -> None:
    w = await world()
    with pytest.raises(Unavailable, match="no active key for profile nobody"):
        await sign(REPO, about(SUBJECT), [(SIMPLE, "x")], ("nobody",), {}, BY, w.ports)


async def test_a_format_that_needs_certificates_waits_for_them_and_the_others_do_not() -> None:
    w = await world()
    pairs = [(SIMPLE, "x"), ("notation-jws", "x")]
    made = await sign(REPO, about(SUBJECT), pairs, ("release",), {}, BY, w.ports)
    assert [entry.key.format for entry in made] == [SIMPLE]
    with pytest.raises(Unavailable, match="profile release has no certificate chain yet, which notation-jws needs"):
        await sign(REPO, about(SUBJECT), pairs[1:], ("release",), {}, BY, w.ports)
    await certify(w)
    made = await sign(REPO, about(SUBJECT), pairs, ("release",), {}, BY, w.ports)
    assert [entry.key.format for entry in made] == [SIMPLE, "notation-jws"]
    assert len(w.signer.made) == 2


async def test_nothing_is_acknowledged_unsigned_where_no_simple_signatures_are_made() -> None:
    w = await world()
    own = bound_to(REPO, None, w.ports)
    assert wanted(("notation-jws",), REPO, (), w.ports) == [("notation-jws", own)]
    assert wanted((SIMPLE, "notation-jws"), REPO, (), w.ports) == [(SIMPLE, own)]


async def test_a_push_with_many_tags_waits_its_turns_and_leaves_the_queue_to_others() -> None:
    """Nine pushes with 32 tags each asked for more than the queue of a slow token holds."""
    w = await world()
    waiting = most = 0
    made = w.signer.sign

    async def slow(*args: Any) -> bytes:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        assert waiting <= w.ports.limits.sign_queue, "somebody is answered 429"
        for _ in range(3):
            await asyncio.sleep(0)
        waiting -= 1
        return await made(*args)

    w.signer.sign = slow  # type: ignore[method-assign, assignment]
    images = [image(f"slow {n}") for n in range(9)]
    for one in images:
        for blob in one.blobs:
            w.registry.put_blob("team/app", blob)
    tags = [tuple(parse_tag(f"t{n}-{m}") for m in range(32)) for n in range(9)]
    pushes = [
        w.say(PushManifest(REPO, one.digest, some), body=one.body, content_type=one.media_type)
        for one, some in zip(images, tags, strict=True)
    ]
    assert [answer.status for answer in await asyncio.gather(*pushes)] == [201] * 9
    assert most <= 9 * w.ports.limits.signatures_at_once
