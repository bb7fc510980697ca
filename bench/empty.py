"""The least an aiohttp server can do: answer some bytes, whatever is asked. `python -m bench.empty PORT`."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

BODY = b" " * 700  # as long as a small manifest


async def handler(_request: web.BaseRequest) -> web.Response:
    """Answer."""
    return web.Response(body=BODY, content_type="application/json")


async def main(port: int) -> None:
    """Serve until killed."""
    server = web.Server(handler, access_log=None)
    async with await asyncio.get_running_loop().create_server(server, "127.0.0.1", port) as listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
