"""ATTACK 26: clients are sent to no other token realm, whatever status upstream says it with, and to nobody's Host."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from proxy.config import load
from proxy.server.process import serving as running
from proxy.web.logs import open_log
from tests.worlds.registry import MemoryRegistry, Said, Seen
from tests.worlds.registry_http import serving

CONFIG = """
version: 1
server: {{listen: 127.0.0.1:0, public_urls: [https://reg.example, "http://second.example:5000"]}}
admin: {{listen: 127.0.0.1:0}}
upstreams: [{{name: registry, url: "{upstream}"}}]
"""
OURS = "https://reg.example/-/token"


@pytest.fixture
async def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
async def proxy(registry: MemoryRegistry, tmp_path: Path) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(registry))
        path = tmp_path / "countersign.yaml"
        path.write_text(CONFIG.format(upstream=upstream.url))
        served = await stack.enter_async_context(running(load(path), open_log(io.StringIO(), as_json=True)))
        yield f"http://{served.public}"


@pytest.mark.parametrize("status", [200, 401, 403, 404])
@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("reg.example", OURS),
        ("second.example:5000", "http://second.example:5000/-/token"),
        ("evil.example", OURS),
        ("reg.example.evil.example", OURS),
        ("reg.example@evil.example", OURS),
        ("REG.EXAMPLE", OURS),
    ],
)
async def test_every_challenge_is_in_our_name(
    registry: MemoryRegistry, proxy: str, status: int, host: str, realm: str
) -> None:
    def pointing(_seen: Seen) -> Said:
        return Said(status, (("www-authenticate", 'Bearer realm="https://evil.example/token",service="x"'),), b"{}")

    registry.hooks.append(pointing)
    async with aiohttp.ClientSession() as client:
        for path in ("/v2/", "/v2/_catalog", *(["/v2/team/app/tags/list"] if status != 200 else [])):
            async with client.get(proxy + path, headers={"Host": host}) as reply:
                assert reply.headers.getall("WWW-Authenticate") == [f'Bearer realm="{realm}",service="x"']
                assert "evil.example" not in repr(reply.headers)
                assert reply.status == status
