"""The Registry port: one suite for the registry in memory, the same over HTTP, and Debian's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.oci import operation as ops
from proxy.oci.faults import Fault
from proxy.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from proxy.oci.paths import parse
from proxy.oci.reference import Digest, digest_of, parse_repository, parse_tag
from proxy.registry.ports.upstream import Credential, Headers, ReferrersApi, Registry, UpstreamResponse
from proxy.upstream.client import Upstream
from tests.interop.registries import distribution, docker_registry
from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_http import serving

REPOSITORY = parse_repository("team/app")
OTHER = parse_repository("other/app")
ACCEPT: Headers = (("accept", DOCKER_MANIFEST), ("accept", OCI_MANIFEST), ("accept", OCI_INDEX))
LIMIT = 4 << 20
ANYBODY = Credential()


@dataclass
class World:
    """One implementation, and what is known of it."""

    registry: Registry
    referrers: bool
    credential: Credential = ANYBODY

    async def ask(self, operation: ops.Operation, headers: Headers = (), body: bytes | None = None) -> UpstreamResponse:
        return await self.registry.perform(operation, self.credential, headers=headers, body=body)

    async def says(self, operation: ops.Operation, headers: Headers = (), body: bytes | None = None) -> int:
        reply = await self.ask(operation, headers, body)
        await reply.close()
        return reply.status

    async def push_blob(self, data: bytes) -> Digest:
        started = await self.ask(ops.StartUpload(REPOSITORY))
        assert started.status == 202
        await started.close()
        digest = digest_of(data)
        finish = continued(started, "PUT", f"digest={digest}")
        assert await self.says(finish, (("content-type", "application/octet-stream"),), data) == 201
        return digest

    async def push_image(self, tag: str) -> tuple[Digest, bytes]:
        config, layer = b"{}", f"layer of {tag}".encode()
        for blob in (config, layer):
            await self.push_blob(blob)
        body = image(config, layer)
        push = ops.PushManifest(REPOSITORY, parse_tag(tag))
        assert await self.says(push, (("content-type", OCI_MANIFEST),), body) == 201
        return digest_of(body), body


def image(config: bytes, layer: bytes) -> bytes:
    def descriptor(kind: str, data: bytes) -> dict[str, object]:
        media_type = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("config.v1+json", config),
        "layers": [descriptor("layer.v1.tar", layer)],
    }
    return json.dumps(document).encode()


def header(reply: UpstreamResponse, name: str) -> str | None:
    return next((value for key, value in reply.headers if key == name), None)


def continued(reply: UpstreamResponse, method: str, more: str = "") -> ops.Operation:
    """Read the Location as the proxy would when the caller comes back with it."""
    location = header(reply, "location")
    assert location is not None
    assert location.startswith("/v2/")
    path, _, query = location.partition("?")
    return parse(method, path, "&".join(part for part in (query, more) if part))


@asynccontextmanager
async def over_http(url: str, *, referrers: bool) -> AsyncIterator[World]:
    upstream = Upstream(url)
    try:
        yield World(upstream, referrers)
    finally:
        await upstream.close()


@pytest.fixture(
    params=[
        "memory",
        "http",
        "http-without-referrers",
        pytest.param("docker-registry", marks=pytest.mark.real),
        pytest.param("distribution", marks=[pytest.mark.real, pytest.mark.go]),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "memory":
                yield World(MemoryRegistry(), referrers=True)
            case "http" | "http-without-referrers":
                there = request.param == "http"
                server = await stack.enter_async_context(serving(MemoryRegistry(referrers=there)))
                yield await stack.enter_async_context(over_http(server.url, referrers=there))
            case "docker-registry":
                real = stack.enter_context(docker_registry(tmp_path))
                yield await stack.enter_async_context(over_http(real.url, referrers=False))
            case "distribution":
                real = stack.enter_context(distribution(tmp_path))
                yield await stack.enter_async_context(over_http(real.url, referrers=False))


async def test_the_api_is_there(world: World) -> None:
    assert await world.says(ops.CheckApi()) == 200
    assert await world.says(ops.CheckApi(head=True)) == 200


async def test_what_is_not_there_is_404(world: World) -> None:
    nothing = digest_of(b"nothing")
    for operation in (
        ops.PullManifest(REPOSITORY, parse_tag("none")),
        ops.PullManifest(REPOSITORY, nothing, head=True),
        ops.PullBlob(REPOSITORY, nothing),
        ops.PullBlob(REPOSITORY, nothing, head=True),
        ops.ListTags(REPOSITORY),
    ):
        assert await world.says(operation) == 404, operation


async def test_a_blob_in_one_piece(world: World) -> None:
    digest = await world.push_blob(b"hello")
    reply = await world.ask(ops.PullBlob(REPOSITORY, digest))
    assert (reply.status, await reply.read(LIMIT)) == (200, b"hello")
    assert header(reply, "docker-content-digest") == digest
    head = await world.ask(ops.PullBlob(REPOSITORY, digest, head=True))
    assert (head.status, header(head, "content-length"), await head.read(LIMIT)) == (200, "5", b"")


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
async def test_a_blob_streamed_up_and_down(world: World, known: bool) -> None:
    pieces = [bytes([n]) * 100_000 for n in range(30)]
    whole = b"".join(pieces)

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    started = await world.ask(ops.StartUpload(REPOSITORY))
    await started.close()
    sent = await world.registry.perform(
        continued(started, "PATCH"),
        world.credential,
        headers=(("content-type", "application/octet-stream"),),
        body=body(),
        length=len(whole) if known else None,
    )
    await sent.close()
    assert (sent.status, header(sent, "range")) == (202, f"0-{len(whole) - 1}")
    assert await world.says(continued(sent, "PUT", f"digest={digest_of(whole)}")) == 201
    down = await world.ask(ops.PullBlob(REPOSITORY, digest_of(whole)))
    assert b"".join([chunk async for chunk in down.stream()]) == whole


async def test_a_range_of_a_blob(world: World) -> None:
    digest = await world.push_blob(b"0123456789")
    reply = await world.ask(ops.PullBlob(REPOSITORY, digest), (("range", "bytes=2-4"),))
    assert (reply.status, header(reply, "content-range"), await reply.read(LIMIT)) == (206, "bytes 2-4/10", b"234")


async def test_an_upload_is_asked_about_and_cancelled(world: World) -> None:
    started = await world.ask(ops.StartUpload(REPOSITORY))
    await started.close()
    status = await world.ask(continued(started, "GET"))
    assert (status.status, header(status, "range")) == (204, "0-0")
    await status.close()
    assert await world.says(continued(started, "DELETE")) == 204
    assert await world.says(continued(started, "GET")) == 404


async def test_a_mount_takes_what_is_there(world: World) -> None:
    digest = await world.push_blob(b"shared")
    assert await world.says(ops.StartUpload(OTHER, mount=digest, source=REPOSITORY)) == 201
    assert await world.says(ops.PullBlob(OTHER, digest)) == 200
    assert await world.says(ops.StartUpload(OTHER, mount=digest_of(b"no"), source=REPOSITORY)) == 202


async def test_a_manifest_comes_back_byte_for_byte(world: World) -> None:
    digest, body = await world.push_image("1.0")
    for reference in (parse_tag("1.0"), digest):
        reply = await world.ask(ops.PullManifest(REPOSITORY, reference), ACCEPT)
        assert await reply.read(LIMIT) == body
        assert header(reply, "content-type") == OCI_MANIFEST
        assert header(reply, "docker-content-digest") == digest


async def test_without_the_accept_header_there_is_no_oci_manifest(world: World) -> None:
    await world.push_image("1.0")
    pull = ops.PullManifest(REPOSITORY, parse_tag("1.0"))
    if await world.says(pull, (("accept", DOCKER_MANIFEST),)) == 200:
        pytest.skip("this registry does not negotiate")
    assert await world.says(pull, ACCEPT) == 200


async def test_a_manifest_without_its_blobs_is_refused(world: World) -> None:
    push = ops.PushManifest(REPOSITORY, parse_tag("broken"))
    reply = await world.ask(push, (("content-type", OCI_MANIFEST),), image(b"no config", b"no layer"))
    assert reply.status in {400, 404}
    assert b"BLOB_UNKNOWN" in await reply.read(LIMIT)


async def test_an_index_over_a_child(world: World) -> None:
    digest, body = await world.push_image("child")
    entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body)}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    push = ops.PushManifest(REPOSITORY, digest_of(index))
    assert await world.says(push, (("content-type", OCI_INDEX),), index) == 201
    reply = await world.ask(ops.PullManifest(REPOSITORY, digest_of(index)), ACCEPT)
    assert await reply.read(LIMIT) == index


async def test_content_that_is_here_already_is_not_sent_again(world: World) -> None:
    digest, _ = await world.push_image("1.0")
    pull = ops.PullManifest(REPOSITORY, digest)
    reply = await world.ask(pull, ACCEPT)
    await reply.close()
    etag = header(reply, "etag")
    assert etag is not None
    assert await world.says(pull, (*ACCEPT, ("if-none-match", etag))) == 304


async def test_a_deleted_manifest_is_gone(world: World) -> None:
    digest, _ = await world.push_image("1.0")
    assert await world.says(ops.DeleteManifest(REPOSITORY, digest)) == 202
    assert await world.says(ops.PullManifest(REPOSITORY, digest), ACCEPT) == 404
    assert await world.says(ops.PullManifest(REPOSITORY, parse_tag("1.0")), ACCEPT) == 404


async def test_lists_are_read_page_by_page(world: World) -> None:
    for tag in ("a", "b", "c"):
        await world.push_image(tag)
    found: list[str] = []
    operation: ops.Operation = ops.ListTags(REPOSITORY, n=2)
    for _ in range(3):
        reply = await world.ask(operation)
        found += json.loads(await reply.read(LIMIT))["tags"]
        link = header(reply, "link")
        if link is None:
            break
        assert link.startswith("</v2/")
        path, _, query = link.partition(">")[0].removeprefix("<").partition("?")
        operation = parse("GET", path, query)
    assert sorted(found) == ["a", "b", "c"]  # 2.8 knows neither order nor pages
    catalog = await world.ask(ops.ListRepositories())
    assert json.loads(await catalog.read(LIMIT))["repositories"] == [REPOSITORY]


async def test_a_body_beyond_the_limit_is_not_read(world: World) -> None:
    digest = await world.push_blob(b"x" * 1000)
    reply = await world.ask(ops.PullBlob(REPOSITORY, digest))
    with pytest.raises(Fault) as raised:
        await reply.read(999)
    assert (raised.value.code, raised.value.status) == ("SIZE_INVALID", 413)
    reply = await world.ask(ops.PullBlob(REPOSITORY, digest))
    assert len(await reply.read(1000)) == 1000


async def test_replies_are_closed_as_often_as_one_likes(world: World) -> None:
    digest = await world.push_blob(b"x" * 300_000)
    for _ in range(3):
        reply = await world.ask(ops.PullBlob(REPOSITORY, digest))
        await reply.close()
        await reply.close()
    assert await world.says(ops.CheckApi()) == 200


async def test_the_referrers_api_is_there_or_not(world: World) -> None:
    digest, _ = await world.push_image("1.0")
    found = await world.registry.referrers_api(REPOSITORY, digest, world.credential)
    assert found is (ReferrersApi.HAS if world.referrers else ReferrersApi.HAS_NOT)
    status = await world.says(ops.ListReferrers(REPOSITORY, digest_of(b"x")))
    assert status == (200 if world.referrers else 404)
