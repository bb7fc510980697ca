"""Attack 38: ask for something dear and hang up. A read ends when nobody waits for it; a push goes on to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import Operation, PullBlob, PullManifest, PushManifest
from proxy.oci.reference import fallback_tag, signature_tag
from proxy.registry.handle import handle
from proxy.registry.request import Request, Response
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from proxy.web.outermost import Edge
from tests.worlds.conversation import World, world
from tests.worlds.foreign import list_in_fallback, put_sig, trusted
from tests.worlds.images import image
from tests.worlds.listener import QUICK, Spoken, on_loopback, registry
from tests.worlds.registry import MemoryRegistry, Seen
from tests.worlds.softkey import soft_key

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
APP = image("app")
PARTNER = soft_key(name="partner")
PARTNERS = Policy(("**",), PushRules(("release",)), PullRules(require=(Clause(("partner",)),)))
EDGE = Edge(replace(QUICK, header_timeout_s=5.0, body_idle_s=5.0))


@dataclass
class Held:
    """An upstream that holds requests of one kind back."""

    which: Callable[[Seen], bool]
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, seen: Seen) -> None:
        if self.which(seen):
            self.reached.set()
            await self.go.wait()


def flow(w: World, ended: list[str]) -> Callable[[Operation, Request], Awaitable[Response]]:
    async def answer(operation: Operation, request: Request) -> Response:
        try:
            return await handle(operation, request, w.ports)
        finally:
            ended.append(type(operation).__name__)

    return answer


async def scene(*, good: bool = False) -> World:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=False))
    w.put_behind(APP, "team/app", "v1")
    keys = [soft_key() for _ in range(50)] + ([PARTNER] if good else [])
    put_sig(
        w.registry, "team/app", APP.digest, *(k.layer("cosign-simple", APP.digest, f"{n}") for n, k in enumerate(keys))
    )
    return w


def tag_of_signatures(seen: Seen) -> bool:
    return isinstance(seen.operation, PullManifest) and seen.operation.reference == signature_tag(APP.digest)


async def ask(proxy: Spoken, target: str, method: str = "GET", *, body: bytes = b"") -> Ends:
    reader, writer = await proxy.open()
    head = [f"{method} {target} HTTP/1.1", "Host: a", f"Accept: {OCI_MANIFEST}", f"Content-Type: {OCI_MANIFEST}"]
    head += [f"Content-Length: {len(body)}"] if body else []
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    return reader, writer


async def leave(proxy: Spoken, *writers: asyncio.StreamWriter, left: int = 0) -> None:
    for writer in writers:
        writer.transport.abort()
    await until(lambda: len(proxy.connections) <= left)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def test_a_pull_ends_when_its_client_has_gone_and_nobody_else_waits() -> None:
    w, ended = await scene(), list[str]()
    w.registry.pause = held = Held(tag_of_signatures)
    async with on_loopback(registry(flow(w, ended)), EDGE) as proxy:
        _, writer = await ask(proxy, "/v2/team/app/manifests/v1")
        await held.reached.wait()
        await leave(proxy, writer)
        held.go.set()
        await until(lambda: bool(ended))
    assert w.registry.count(PullBlob) == 0
    assert not w.store.journal.decisions


async def test_the_work_goes_on_for_those_who_still_wait() -> None:
    w, ended = await scene(good=True), list[str]()
    w.registry.pause = held = Held(tag_of_signatures)
    async with on_loopback(registry(flow(w, ended)), EDGE) as proxy:
        _, first = await ask(proxy, "/v2/team/app/manifests/v1")
        await held.reached.wait()
        reader, second = await ask(proxy, "/v2/team/app/manifests/v1")
        await until(lambda: any(len(waiting) == 2 for _, waiting in w.ports.cache._shared.values()))
        await leave(proxy, first, left=1)
        held.go.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        second.close()


async def test_who_comes_when_it_is_about_to_end_gets_an_answer() -> None:
    w, ended = await scene(good=True), list[str]()
    w.registry.pause = held = Held(tag_of_signatures)
    async with on_loopback(registry(flow(w, ended)), EDGE) as proxy:
        _, first = await ask(proxy, "/v2/team/app/manifests/v1")
        await held.reached.wait()
        await leave(proxy, first)
        held.go.set()
        reader, second = await ask(proxy, "/v2/team/app/manifests/v1")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        second.close()


async def test_a_list_of_referrers_ends_when_its_client_has_gone() -> None:
    w, ended = await scene(), list[str]()
    entries: list[dict[str, object]] = []
    for n in range(200):
        one = image(f"{n}")
        w.registry.put_manifest("team/app", one.body, OCI_MANIFEST)
        entries.append({"mediaType": OCI_MANIFEST, "digest": one.digest, "size": len(one.body)})
    list_in_fallback(w.registry, "team/app", APP.digest, entries)
    tag = fallback_tag(APP.digest)
    w.registry.pause = held = Held(lambda s: isinstance(s.operation, PullManifest) and s.operation.reference == tag)
    async with on_loopback(registry(flow(w, ended)), EDGE) as proxy:
        _, writer = await ask(proxy, f"/v2/team/app/referrers/{APP.digest}")
        await held.reached.wait()
        request = w.registry.count(PullManifest)
        await leave(proxy, writer)
        held.go.set()
        await until(lambda: bool(ended))
    assert w.registry.count(PullManifest) == request


async def test_a_push_goes_on_when_its_client_has_gone() -> None:
    w, ended = await world(), list[str]()
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    w.registry.pause = held = Held(lambda s: isinstance(s.operation, PushManifest))
    async with on_loopback(registry(flow(w, ended)), EDGE) as proxy:
        _, writer = await ask(proxy, "/v2/team/app/manifests/v1", "PUT", body=APP.body)
        await held.reached.wait()
        await leave(proxy, writer)
        held.go.set()
        await until(lambda: bool(ended))
    assert w.tag("team/app", "v1") == APP.digest
    assert w.tag("team/app", signature_tag(APP.digest)) is not None
