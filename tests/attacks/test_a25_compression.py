"""Compressed bodies: refused where we judge, never unpacked anywhere (ATTACKS 25)."""

import gzip
import tracemalloc

import pytest

from proxy.registry.request import Response
from tests.worlds.listener import Recorder, Reply, body_of, head_of, on_loopback, registry

BOMB = gzip.compress(b"\0" * 50_000_000)
PATHS = ["/v2/app/manifests/v1", "/v2/app/manifests/sha256:" + "a" * 64]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x-unknown"])
async def test_a_compressed_manifest_is_refused_before_it_is_read(path: str, coding: str) -> None:
    flow = Recorder()
    headers = (f"Content-Encoding: {coding}", f"Content-Length: {len(BOMB)}")
    async with on_loopback(registry(flow)) as proxy:
        reply = await proxy.get(path, *headers, method="PUT", body=BOMB)
    assert reply.startswith(b"HTTP/1.1 415 ")
    assert flow.requests == []


async def test_a_second_content_encoding_does_not_hide_the_first() -> None:
    flow = Recorder()
    headers = ("Content-Encoding: gzip", "Content-Encoding: identity", f"Content-Length: {len(BOMB)}")
    async with on_loopback(registry(flow)) as proxy:
        assert not (await proxy.get(PATHS[0], *headers, method="PUT", body=BOMB)).startswith(b"HTTP/1.1 2")
    assert flow.requests == []


async def test_a_transfer_coding_is_not_unpacked() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        await proxy.get(PATHS[0], "Transfer-Encoding: gzip, chunked", method="PUT", body=b"1\r\na\r\n0\r\n\r\n")
    assert flow.bodies in ([], [b"a"])


async def test_a_compressed_blob_is_relayed_as_it_is_and_memory_stays_flat() -> None:
    upstream = Reply((BOMB,), headers=(("content-encoding", "gzip"), ("content-length", str(len(BOMB)))))
    flow = Recorder(Response(200, upstream.headers, relayed=upstream))
    async with on_loopback(registry(flow)) as proxy:
        tracemalloc.start()
        reply = await proxy.get("/v2/app/blobs/sha256:" + "a" * 64, "Accept-Encoding: gzip")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert head_of(reply)[1]["content-encoding"] == "gzip"
    assert body_of(reply) == BOMB
    assert peak < 5_000_000
