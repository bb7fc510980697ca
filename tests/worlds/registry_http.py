"""The in-memory registry over HTTP on a free port, and ways for it to misbehave that only HTTP has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic as real_monotonic
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import Operation, Query
from proxy.oci.reference import Digest, Repository, Tag
from proxy.upstream.client import Upstream
from proxy.upstream.referrers import ReferrersMode
from tests.worlds.registry import MemoryRegistry, Said, Seen

Wild = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]


class RegistryServer:
    """A MemoryRegistry behind a socket.

    `wild` handlers see each request first and may answer it in any way. `absolute` writes whole URLs into Location
    and Link, as most registries do. `targets` holds every request line as it was sent.
    """

    def __init__(self, registry: MemoryRegistry) -> None:
        self.registry = registry
        self.url = ""
        self.wild: list[Wild] = []
        self.absolute = True
        self.targets: list[str] = []
        self.token_requests: list[tuple[str, Query, str | None]] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.targets.append(f"{request.method} {request.raw_path}")
        for wild in self.wild:
            response = await wild(request)
            if response is not None:
                return response
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        authorization = request.headers.get("Authorization")
        path, _, raw_query = request.raw_path.partition("?")
        query = tuple(parse_qsl(raw_query, keep_blank_values=True))
        body = await request.content.read()  # without the bound that request.read() has
        if path == "/token":
            pairs = query if request.method == "GET" else tuple(parse_qsl(body.decode(), keep_blank_values=True))
            self.token_requests.append((request.method, pairs, authorization))
            return self._response(request, self.registry.access.token(pairs, authorization))
        operation = route(request.method, path, query)
        if operation is None:
            return web.Response(status=404, text="404 page not found\n")
        try:
            said = await self.registry.take(Seen(operation, authorization, headers, body, request.raw_path))
        except Unavailable:
            return abort(request)
        cut = self.registry.cuts.get(type(operation))
        return self._response(request, said) if cut is None else await truncated(request, said, cut)

    def _response(self, request: web.BaseRequest, said: Said) -> web.Response:
        headers = CIMultiDict[str]()
        for name, value in said.headers:
            shown = value
            if self.absolute and name == "location" and value.startswith("/"):
                shown = f"http://{request.host}{value}"
            if self.absolute and name == "link":
                shown = value.replace("</", f"<http://{request.host}/")
            headers.add(name, shown)
        bare = request.method == "HEAD"
        if not bare:
            headers.pop("content-length", None)
        return web.Response(status=said.status, headers=headers, body=None if bare else said.body)


def abort(request: web.BaseRequest) -> web.Response:
    """Break the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=500)


async def truncated(request: web.BaseRequest, said: Said, cut: int) -> web.StreamResponse:
    """Promise the whole body, send a part, and hang up."""
    response = web.StreamResponse(status=said.status, headers=CIMultiDict(said.headers))
    response.content_length = len(said.body)
    await response.prepare(request)
    await response.write(said.body[:cut])
    assert request.transport is not None
    request.transport.close()
    return response


def route(method: str, path: str, query: Query) -> Operation | None:  # a table
    """Return the operation of a request: a reader of its own, so that it shares no mistake with the proxy's."""
    first = dict(reversed(query))
    parts = path.removeprefix("/v2/").split("/")
    name = Repository("/".join(parts[:-2]))
    n = int(first["n"]) if "n" in first else None
    if path == "/v2/":
        return ops.CheckApi(method == "HEAD")
    if path == "/v2/_catalog":
        return ops.ListRepositories(n, first.get("last"))
    if parts[-2:] == ["tags", "list"]:
        return ops.ListTags(name, n, first.get("last"))
    digest = Digest(parts[-1])
    if parts[-3:-1] == ["blobs", "uploads"]:
        return _upload(method, Repository("/".join(parts[:-3])), parts[-1], query, first)
    tags = tuple(Tag(value) for key, value in query if key == "tag")
    table: dict[tuple[str, str], Operation] = {
        ("referrers", "GET"): ops.ListReferrers(name, digest, first.get("artifactType")),
        ("manifests", "GET"): ops.PullManifest(name, digest),
        ("manifests", "HEAD"): ops.PullManifest(name, digest, head=True),
        ("manifests", "PUT"): ops.PushManifest(name, digest, tags),
        ("manifests", "DELETE"): ops.DeleteManifest(name, digest),
        ("blobs", "GET"): ops.PullBlob(name, digest),
        ("blobs", "HEAD"): ops.PullBlob(name, digest, head=True),
        ("blobs", "DELETE"): ops.DeleteBlob(name, digest),
    }
    return table.get((parts[-2] if len(parts) > 2 else "", method))


def _upload(method: str, name: Repository, session: str, query: Query, first: dict[str, str]) -> Operation | None:
    state = tuple(pair for pair in query if pair[0] != "digest")
    digest = Digest(first.get("digest", ""))
    match method:
        case "POST" if not session:
            mount = Digest(first["mount"]) if "mount" in first else None
            source = Repository(first["from"]) if "from" in first else None
            return ops.StartUpload(name, digest or None, mount, source)
        case "PATCH":
            return ops.UploadChunk(name, session, state)
        case "PUT":
            return ops.FinishUpload(name, session, digest, state)
        case "GET":
            return ops.UploadStatus(name, session, state)
        case "DELETE":
            return ops.CancelUpload(name, session, state)
    return None


@asynccontextmanager
async def serving(registry: MemoryRegistry) -> AsyncIterator[RegistryServer]:
    """A registry on a free port of this machine; its realm, where it has one, is on the same origin."""
    server = RegistryServer(registry)
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"http://127.0.0.1:{port}"
    registry.access.realm = f"{server.url}/token"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    registry: MemoryRegistry,
    *,
    limits: Limits | None = None,
    credentials: tuple[str, str] | None = None,
    realms: tuple[str, ...] = (),
    referrers: ReferrersMode = "auto",
    monotonic: Callable[[], float] = real_monotonic,
) -> AsyncIterator[tuple[RegistryServer, Upstream]]:
    """A registry on a free port and the proxy's own client of it."""
    async with serving(registry) as server:
        upstream = Upstream(
            server.url,
            limits=limits,
            credentials=credentials,
            realms=realms,
            referrers=referrers,
            monotonic=monotonic,
        )
        try:
            yield server, upstream
        finally:
            await upstream.close()
