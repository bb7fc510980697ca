"""A download that stops after its first bytes until its reader goes on."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Download:
    """Somebody who downloads the layer, and stops reading after the first bytes until told to go on."""

    def __init__(self, reader: asyncio.StreamReader, length: int) -> None:
        self.reader = reader
        self.length = length

    async def ended(self) -> bytes:
        """All that came of the layer until its end or that of the connection."""
        got = bytearray()
        try:
            while len(got) < self.length:
                more = await asyncio.wait_for(self.reader.read(65536), 20)
                if not more:
                    break
                got += more
        except ConnectionError:
            pass
        return bytes(got)


@asynccontextmanager
async def download(host: str, blob: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Download]:
    """A download that has begun: the head of the answer is here."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    line.setblocking(False)
    address, port = host.split(":")
    try:
        await asyncio.get_running_loop().sock_connect(line, (address, int(port)))
        name = address if tls else None
        reader, writer = await asyncio.open_connection(sock=line, limit=8192, ssl=tls, server_hostname=name)
    except BaseException:
        line.close()
        raise
    try:
        writer.write(f"GET {blob} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        yield Download(reader, int(length.partition(b":")[2]))
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
