"""Blobs in object storage: read where the configuration allows it, without anybody's credential."""

from __future__ import annotations

import pytest
from aiohttp import web

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.reference import digest_of, parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.upstream.client import Upstream
from tests.worlds.registry import MemoryRegistry, basic
from tests.worlds.registry_http import RegistryServer, serving

BLOB = ops.PullBlob(parse_repository("team/app"), digest_of(b"bytes"))
ALICE = Credential(basic("alice", "secret"))


def redirecting(server: RegistryServer, target: str) -> None:
    """Make every blob request a redirect."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse | None:
        return web.Response(status=307, headers={"Location": target}) if "/blobs/" in request.raw_path else None

    server.wild.append(redirect)


async def test_an_allowed_origin_is_asked_without_the_credential() -> None:
    async with serving(MemoryRegistry()) as upstream_server, serving(MemoryRegistry()) as storage:
        heard: list[str | None] = []

        async def keep(request: web.BaseRequest) -> web.StreamResponse | None:
            heard.append(request.headers.get("Authorization"))
            return web.Response(body=b"bytes")

        storage.wild.append(keep)
        redirecting(upstream_server, f"{storage.url}/bucket/key?signature=1")
        upstream = Upstream(upstream_server.url, blob_origins=[storage.url])
        try:
            reply = await upstream.follow(await upstream.perform(BLOB, ALICE))
            assert await reply.read(100) == b"bytes"
        finally:
            await upstream.close()
        assert heard == [None]
        assert storage.targets == ["GET /bucket/key?signature=1"]


async def test_any_other_origin_is_named_and_not_asked() -> None:
    async with serving(MemoryRegistry()) as upstream_server, serving(MemoryRegistry()) as storage:
        redirecting(upstream_server, f"{storage.url}/latest/meta-data")
        upstream = Upstream(upstream_server.url)
        try:
            with pytest.raises(Unavailable, match=r"add it to upstreams\[\]\.blob_origins"):
                await upstream.follow(await upstream.perform(BLOB, ALICE))
        finally:
            await upstream.close()
        assert storage.targets == []


async def test_a_second_redirect_is_not_followed() -> None:
    async with serving(MemoryRegistry()) as upstream_server, serving(MemoryRegistry()) as storage:
        redirecting(upstream_server, f"{storage.url}/v2/team/app/blobs/{BLOB.digest}")
        redirecting(storage, "http://127.0.0.1:1/")
        upstream = Upstream(upstream_server.url, blob_origins=[storage.url])
        try:
            with pytest.raises(Unavailable, match="redirects again"):
                await upstream.follow(await upstream.perform(BLOB, ALICE))
        finally:
            await upstream.close()
