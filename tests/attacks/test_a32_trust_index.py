"""Attack 32, by reading: nobody without a name makes the token work, and what it signed here signs no image."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from proxy.exports.pages import TrustPages
from proxy.exports.publish import Publisher
from proxy.formats.algorithms import to_base64
from proxy.formats.format import Blob
from proxy.formats.simple_signing import MEDIA_TYPE, SIGNATURE
from proxy.trust.keys import BookKey, fingerprint
from proxy.web.app import public_app
from proxy.web.pages import pages
from proxy.web.rendering import Rendering
from tests.unit.web.test_pages import Desk
from tests.worlds.conversation import World, world
from tests.worlds.foreign import put_sig
from tests.worlds.images import image
from tests.worlds.listener import Recorder, in_memory
from tests.worlds.softkey import layer_of

IMAGE = image("unsigned")


class Counting:
    """The world's signer, with its signatures counted."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.made = inner, 0

    async def sign(self, key: BookKey, message: bytes) -> bytes:
        self.made += 1
        await asyncio.sleep(0)
        return cast("bytes", await self._inner.sign(key, message))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def served() -> tuple[World, Counting, Publisher]:
    w = await world()
    signer = Counting(w.signer)
    w.ports = replace(w.ports, signer=cast("Any", signer))
    return w, signer, Publisher(lambda: w.ports, {"release": False})


async def test_whatever_is_asked_for_is_signed_once() -> None:
    w, signer, publisher = await served()
    desk, rendering = Desk(), Rendering("reg", "https://proxy.example")
    site = public_app(Recorder(), pages(rendering, desk.find, desk.inspect, TrustPages(rendering, publisher).answer))
    (key,) = w.store.keybook.ring().ours
    name = fingerprint(key.spki)
    asked = [
        "index.json",
        f"index.json?{name}",
        "index.json?image=team/app:1",
        f"signatures/{name}.sig",
        f"signatures/{name}",
        f"signatures/{name}.sig?image=a:1",
        f"signatures/{'0' * 64}.sig",
        "signatures/.sig",
        "release/policy.json?image=team/app:1",
    ]
    async with in_memory(site) as proxy:
        for number in range(40):
            await proxy.get(f"/-/trust/{asked[number % len(asked)]}", f"User-Agent: {number}")
    assert signer.made == 1


async def test_a_signature_of_the_index_signs_no_image() -> None:
    w, _, publisher = await served()
    (key,) = w.store.keybook.ring().ours
    signature = await publisher.signature(fingerprint(key.spki))
    w.put_behind(IMAGE, "team/app", "v1")
    index = publisher.now().index
    put_sig(w.registry, "team/app", IMAGE.digest, layer_of(Blob(MEDIA_TYPE, index, {SIGNATURE: to_base64(signature)})))
    assert await w.blocked("team/app", "v1") == "unread_payload"
