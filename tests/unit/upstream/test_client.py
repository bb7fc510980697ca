"""The port itself is tested in tests/contract/test_registry.py; here is what only this adapter promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.registry.ports.upstream import Credential
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, Seen, basic
from tests.worlds.registry_http import connected

REPOSITORY = parse_repository("team/app")
PULL = ops.PullManifest(REPOSITORY, parse_tag("1"))
ALICE = Credential(basic("alice", "secret"))
OURS = Credential(ours=True)


async def test_five_accept_headers_stay_five() -> None:
    registry = MemoryRegistry()
    sent = tuple(("accept", kind) for kind in (DOCKER_MANIFEST, OCI_MANIFEST, OCI_INDEX, DOCKER_LIST, "*/*"))
    async with connected(registry) as (_, upstream):
        await (await upstream.perform(PULL, ALICE, headers=sent)).close()
    assert registry.seen[0].values("accept") == [value for _, value in sent]


async def test_the_credential_is_the_only_authorization() -> None:
    registry = MemoryRegistry()
    forged = (("authorization", "Basic Zm9yZ2Vk"), ("Authorization", "Basic Zm9yZ2Vk"))
    async with connected(registry) as (_, upstream):
        for credential in (ALICE, Credential(), OURS):
            await (await upstream.perform(PULL, credential, headers=forged)).close()
    assert [seen.values("authorization") for seen in registry.seen] == [[ALICE.authorization], [], []]


async def test_an_authorization_that_is_not_printable_is_no_credential() -> None:
    async with connected(MemoryRegistry()) as (server, upstream):
        with pytest.raises(Fault, match="not printable"):
            await upstream.perform(PULL, Credential("Basic \udcff"))
        assert not server.targets


async def test_the_path_is_written_from_the_operation() -> None:
    state = (("_state", "a%2Bb%3D"), ("x", "y"))
    async with connected(MemoryRegistry()) as (server, upstream):
        for operation in (
            ops.UploadChunk(REPOSITORY, "session", state),
            ops.ListTags(REPOSITORY, 5, "a+b"),
            ops.ListReferrers(REPOSITORY, digest_of(b"x"), "a/b+json"),
        ):
            await (await upstream.perform(operation, ALICE)).close()
    assert server.targets == [
        "PATCH /v2/team/app/blobs/uploads/session?_state=a%2Bb%3D&x=y",
        "GET /v2/team/app/tags/list?n=5&last=a%2Bb",
        f"GET /v2/team/app/referrers/{digest_of(b'x')}?artifactType=a%2Fb%2Bjson",
    ]


async def test_a_status_is_an_answer_whatever_it_is() -> None:
    registry = MemoryRegistry()
    async with connected(registry) as (_, upstream):
        for status in (401, 403, 429, 500, 503):
            registry.fail(ops.PullManifest, status)
            reply = await upstream.perform(PULL, ALICE)
            assert reply.status == status
            assert b"errors" in await reply.read(1000)


async def test_a_connection_that_breaks_is_no_answer() -> None:
    registry = MemoryRegistry()
    registry.fail(ops.PullManifest, 0, times=5)
    async with connected(registry) as (_, upstream):
        with pytest.raises(Unavailable, match="did not answer"):
            await upstream.perform(PULL, ALICE)
    assert registry.count(ops.PullManifest) == 2  # a read is tried once more


async def test_an_upload_that_breaks_is_not_sent_again() -> None:
    registry = MemoryRegistry()
    registry.fail(ops.FinishUpload, 0, times=5)

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    async with connected(registry) as (_, upstream):
        finish = ops.FinishUpload(REPOSITORY, "1", digest_of(b"abc"))
        with pytest.raises(Unavailable):
            await upstream.perform(finish, ALICE, body=body(), length=3)
    assert registry.count(ops.FinishUpload) == 1


async def test_our_password_is_shown_to_a_registry_that_wants_one() -> None:
    registry = MemoryRegistry(access=Access("htpasswd", {"proxy": "canary"}))
    async with connected(registry, credentials=("proxy", "canary")) as (_, upstream):
        assert (await upstream.perform(ops.CheckApi(), OURS)).status == 200
        assert (await upstream.perform(ops.CheckApi(), Credential())).status == 401
    assert len(registry.seen) == 2


async def test_our_tokens_are_bought_once_per_scope() -> None:
    clock = FrozenClock()
    access = Access("token", {"proxy": "canary"}, life_s=100, now=clock.monotonic)
    registry = MemoryRegistry(access=access)
    registry.put_blob(REPOSITORY, b"x")
    async with connected(registry, credentials=("proxy", "canary"), monotonic=clock.monotonic) as (server, upstream):

        async def starts(count: int) -> list[int]:
            replies = [await upstream.perform(ops.StartUpload(REPOSITORY), OURS) for _ in range(count)]
            for reply in replies:
                await reply.close()
            return [reply.status for reply in replies]

        assert await starts(3) == [202, 202, 202]
        assert len(server.token_requests) == 1
        clock.advance(85)
        assert await starts(1) == [202]
        assert len(server.token_requests) == 2
        assert (await upstream.perform(ops.ListTags(REPOSITORY), OURS)).status == 200
        assert len(server.token_requests) == 3
        access.issued.clear()  # upstream forgot them all
        assert await starts(1) == [202]
        assert len(server.token_requests) == 4


async def test_our_wrong_password_is_named_as_what_it_is() -> None:
    registry = MemoryRegistry(access=Access("token", {"proxy": "canary"}))
    async with connected(registry, credentials=("proxy", "wrong")) as (_, upstream):
        with pytest.raises(Unavailable, match="refused our own credentials") as raised:
            await upstream.perform(ops.CheckApi(), OURS)
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize("transfer", [True, False])
async def test_as_many_connections_as_the_limit_says(transfer: bool) -> None:
    registry = MemoryRegistry()
    together = 0
    most = 0

    async def wait(seen: Seen) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0.01)
        together -= 1

    registry.pause = wait
    few = Limits(upstream_connections=3) if transfer else Limits(upstream_questions=3)
    async with connected(registry, limits=few) as (_, upstream):

        async def ask() -> None:
            await (await upstream.perform(ops.CheckApi(), ALICE, transfer=transfer)).close()

        await asyncio.gather(*(ask() for _ in range(20)))
    assert most == 3


async def test_an_answer_that_is_not_taken_gives_its_connection_back() -> None:
    registry = MemoryRegistry()
    digest = registry.put_blob(REPOSITORY, bytes(3 << 20))
    async with connected(registry, limits=Limits(upstream_questions=1, body_idle_s=2)) as (_, upstream):
        for _ in range(3):
            reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest), ALICE)
            async for _ in reply.stream():
                break
            await reply.close()
        assert (await upstream.perform(ops.CheckApi(), ALICE)).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_body_is_not_what_we_asked_for(encoding: str) -> None:
    async def squeezed(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=b"\x1f\x8b" * 100, headers={"Content-Encoding": encoding})

    async with connected(MemoryRegistry()) as (server, upstream):
        server.wild.append(squeezed)
        reply = await upstream.perform(PULL, ALICE, headers=(("accept-encoding", "gzip"),))
        with pytest.raises(Corrupt, match="Content-Encoding"):
            await reply.read(10_000)
