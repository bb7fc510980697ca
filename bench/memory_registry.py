"""The in-memory registry of the tests, with the referrers API, as a program: `python -m bench.memory_registry PORT`."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_http import RegistryServer


async def main(port: int) -> None:
    """Serve until killed."""
    handler = RegistryServer(MemoryRegistry(referrers=True)).handle
    server = await asyncio.get_running_loop().create_server(web.Server(handler, access_log=None), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
