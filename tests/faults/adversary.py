"""An upstream that misbehaves on demand: it stands before a real registry, and each rule may answer in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

Rule = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]
HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}


@dataclass
class Adversary:
    """Relays to the registry at HOST:PORT what no rule answers. `seen` is every request, as METHOD and path."""

    to: str
    session: aiohttp.ClientSession
    rules: list[Rule] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.seen.append((request.method, request.path))
        for rule in self.rules:
            answered = await rule(request)
            if answered is not None:
                return answered
        return await self.relayed(request)

    async def relayed(self, request: web.BaseRequest) -> web.Response:
        """What the registry itself answers."""
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP]
        body = await request.content.read()
        url = URL(f"http://{self.to}{request.raw_path}", encoded=True)
        asking = self.session.request(request.method, url, headers=headers, data=body or None, allow_redirects=False)
        async with asking as reply:
            data = await reply.read()
            kept = [(name, value) for name, value in reply.headers.items() if name.lower() not in HOP]
            if request.method == "HEAD":
                kept.append(("Content-Length", reply.headers.get("Content-Length", "0")))
            answer = web.Response(status=reply.status, body=None if request.method == "HEAD" else data)
            answer.headers.clear()
            answer.headers.extend(kept)
            return answer

    def count(self, method: str, part: str) -> int:
        """How many requests of that method had this in their path."""
        return sum(1 for one, path in self.seen if one == method and part in path)


@asynccontextmanager
async def adversary(port: int, to: str) -> AsyncIterator[Adversary]:
    """It listens on that port of loopback and relays to HOST:PORT."""
    async with aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0)) as session:
        ours = Adversary(to, session)
        runner = web.ServerRunner(web.Server(ours), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield ours
        finally:
            await runner.cleanup()


def cut(request: web.BaseRequest) -> None:
    """The connection has been reset."""
    if request.transport is not None:
        request.transport.abort()


def answers(method: str, part: str, status: int, times: int = 1_000_000, **headers: str) -> Rule:
    """Requests of that method with this in their path get this status, so many times."""
    left = [times]

    async def rule(request: web.BaseRequest) -> web.Response | None:
        if request.method != method or part not in request.path or left[0] == 0:
            return None
        left[0] -= 1
        await request.content.read()
        return web.Response(status=status, text="<html>not a registry's words</html>", headers=headers)

    return rule
