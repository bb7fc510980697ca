"""The least a Python registry proxy can be: every request sent on, every answer streamed back, nothing looked at."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

CHUNK = 256 * 1024
DROP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


async def app(upstream: str) -> web.Server:
    """Return a server that passes everything on to `upstream`."""
    session = ClientSession(connector=TCPConnector(limit=512), timeout=ClientTimeout(total=None), auto_decompress=False)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in DROP]
        body = request.content if request.can_read_body else None
        async with session.request(
            request.method,
            URL(upstream + request.raw_path, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
        ) as reply:
            kept = [(k, v) for k, v in reply.headers.items() if k.lower() not in DROP - {"content-length"}]
            response = web.StreamResponse(status=reply.status, headers=dict(kept))
            await response.prepare(request)
            if request.method != "HEAD":
                async for chunk in reply.content.iter_chunked(CHUNK):
                    await response.write(chunk)
            await response.write_eof()
            return response

    return web.Server(handler)


async def main(port: int, upstream: str) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(await app(upstream), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
