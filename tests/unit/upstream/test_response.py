from __future__ import annotations

import pytest
from aiohttp import web

from proxy.oci import operation as ops
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Digest, parse_repository
from proxy.registry.ports.upstream import Credential
from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_http import connected

REPOSITORY = parse_repository("team/app")
ANYBODY = Credential()


def shelved(size: int) -> tuple[MemoryRegistry, Digest]:
    registry = MemoryRegistry()
    return registry, registry.put_blob(REPOSITORY, bytes(size))


@pytest.mark.parametrize("cut", [0, 1, 99_999])
async def test_a_body_cut_short_is_no_body(cut: int) -> None:
    registry, digest = shelved(100_000)
    registry.cuts[ops.PullBlob] = cut
    async with connected(registry) as (_, upstream):
        reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest), ANYBODY)
        with pytest.raises(Unavailable, match="did not answer"):
            await reply.read(1 << 20)
        reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest), ANYBODY)
        received = 0
        with pytest.raises(Unavailable):  # noqa: PT012  # what was received before counts
            async for part in reply.stream():
                received += len(part)
        assert received <= cut


async def test_the_limit_holds_where_no_length_was_promised() -> None:
    async def chunked(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(10):
            await response.write(bytes(100))
        return response

    registry, digest = shelved(1)
    async with connected(registry) as (server, upstream):
        server.wild.append(chunked)
        reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest), ANYBODY)
        with pytest.raises(Fault, match="larger than 999 bytes"):
            await reply.read(999)
        reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest), ANYBODY)
        assert len(await reply.read(1000)) == 1000


async def test_a_head_has_a_length_and_no_body() -> None:
    registry, digest = shelved(1000)
    async with connected(registry) as (_, upstream):
        reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest, head=True), ANYBODY)
        assert dict(reply.headers)["content-length"] == "1000"
        assert await reply.read(0) == b""


async def test_reading_after_closing_does_not_hang() -> None:
    registry, digest = shelved(1 << 20)
    async with connected(registry) as (_, upstream):
        reply = await upstream.perform(ops.PullBlob(REPOSITORY, digest), ANYBODY)
        await reply.close()
        with pytest.raises(Unavailable):
            await reply.read(1 << 20)
