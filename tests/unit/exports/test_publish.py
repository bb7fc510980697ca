"""The index is signed once for its bytes, by every active key, and readers cannot keep the token busy."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from proxy.exports.publish import AGAIN_S, Publisher
from proxy.formats.algorithms import verifies
from proxy.keys import lifecycle
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import parse_reference, parse_repository
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, fingerprint
from tests.worlds.conversation import World, world
from tests.worlds.memory import FrozenClock

BY = ("alice", "socket", "it is Tuesday")


class Counting:
    """The world's signer, its calls counted; `fails` is raised instead."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.calls, self.fails = inner, 0, False

    async def sign(self, key: BookKey, message: bytes) -> bytes:
        self.calls += 1
        await asyncio.sleep(0)
        if self.fails:
            raise Unavailable("token main is away")
        return cast("bytes", await self.inner.sign(key, message))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def publisher() -> tuple[World, Counting, Publisher]:
    w = await world()
    signer = Counting(w.signer)
    w.ports = replace(w.ports, signer=cast("Any", signer))
    return w, signer, Publisher(lambda: w.ports, {"release": False})


def active(w: World) -> BookKey:
    found = w.store.keybook.ring().active("release")
    assert found is not None
    return found


async def test_readers_share_one_signature_and_it_verifies() -> None:
    w, signer, publish = await publisher()
    name = fingerprint(active(w).spki)
    made = await asyncio.gather(*(publish.signature(name) for _ in range(50)))
    assert signer.calls == 1
    assert set(made) == {await publish.signature(name)}
    assert verifies(active(w).spki, made[0], publish.now().index)
    assert await publish.unsigned() is None
    assert signer.calls == 1


async def test_the_old_key_announces_the_new_one_before_it_signs() -> None:
    w, _, publish = await publisher()
    old = active(w)
    before = publish.now()
    new = await lifecycle.prepare("release", Actor(*BY, "r"), w.ports)
    assert publish.now().index != before.index
    assert fingerprint(new.spki).encode() in publish.now().index
    assert verifies(old.spki, await publish.signature(fingerprint(old.spki)), publish.now().index)
    with pytest.raises(Fault, match="no key of this fingerprint signs now"):
        await publish.signature(fingerprint(new.spki))
    await lifecycle.activate(fingerprint(new.spki), Actor(*BY, "r"), w.ports)
    assert verifies(new.spki, await publish.signature(fingerprint(new.spki)), publish.now().index)
    with pytest.raises(Fault):
        await publish.signature(fingerprint(old.spki))


async def test_while_two_keys_overlap_both_sign_the_index() -> None:
    w, signer, publish = await publisher()
    old, now = active(w), w.ports.clock.now()
    new = (await lifecycle.rotate("release", Actor(*BY, "r"), w.ports)).new
    await w.store.keybook.amend(fingerprint(old.spki), {"signs_until": now + timedelta(days=14)})
    for key in (old, new):
        assert verifies(key.spki, await publish.signature(fingerprint(key.spki)), publish.now().index)
    assert signer.calls == 2
    cast("FrozenClock", w.ports.clock).advance(15 * 86400)
    with pytest.raises(Fault, match="no key of this fingerprint signs now"):
        await publish.signature(fingerprint(old.spki))
    assert await publish.unsigned() is None


async def test_a_failure_is_said_and_stands_for_a_while() -> None:
    w, signer, publish = await publisher()
    name = fingerprint(active(w).spki)
    signer.fails = True
    for _ in range(20):
        with pytest.raises(Unavailable, match="not signed with this key just now: token main is away"):
            await publish.signature(name)
    assert signer.calls == 1
    assert "no signature could be made" in (await publish.unsigned() or "")
    signer.fails = False
    cast("FrozenClock", w.ports.clock).advance(AGAIN_S + 1)
    assert verifies(active(w).spki, await publish.signature(name), publish.now().index)


async def test_a_file_for_one_image_names_it() -> None:
    _, _, publish = await publisher()
    image = (parse_repository("team/app"), parse_reference("v1"))
    file = publish.for_image("release/commands.txt", *image)
    assert file is not None
    assert b"proxy.example/team/app:v1" in file.body
    assert publish.for_image("release/nothing.txt", *image) is None
