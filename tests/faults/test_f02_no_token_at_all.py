"""FAULT 2: a proxy that only checks pulls has no token, and starts without one."""

from __future__ import annotations

import io
from contextlib import AsyncExitStack
from pathlib import Path

from proxy.config import load
from proxy.server.running import open_running
from proxy.web.logs import open_log

CONFIG = """
version: 1
server: {listen: 127.0.0.1:0, public_urls: [http://registry.example.com]}
upstreams: [{name: registry, url: "http://127.0.0.1:9"}]
"""


async def test_without_a_token_nothing_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "countersign.yaml"
    path.write_text(CONFIG)
    async with AsyncExitStack() as stack:
        running = await open_running(load(path), open_log(io.StringIO(), as_json=True), stack)
        assert running.problems() == []
