"""Upstream's response, as the port defines it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp

from proxy.oci.faults import Corrupt, Fault
from proxy.registry.ports.upstream import Headers
from proxy.upstream.exchange import unavailable

_DRAINED = 64 * 1024  # bytes: an error body up to this size is read to the end so that its connection can be reused
_DRAIN_S = 1.0


class AiohttpResponse:
    """One response; its connection is released when the body has ended or `close` was called."""

    def __init__(self, response: aiohttp.ClientResponse, headers: Headers) -> None:
        """Take over a response whose body is unread."""
        self.status = response.status
        self.headers = headers
        self._response = response

    async def read(self, limit: int, what: str = "upstream's body") -> bytes:
        """Return the whole body. Raises Fault SIZE_INVALID (413) beyond `limit` bytes, Unavailable if incomplete.

        Raises Corrupt for a compressed body: we requested none, and never decompress bytes that we judge.
        """
        if self._response.method == "HEAD":
            return b""
        encoding = self._response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            self._response.close()
            raise Corrupt(f"upstream sent a body with Content-Encoding {encoding[:40]!a} although we asked for none")
        if (self._response.content_length or 0) > limit:
            self._response.close()
            raise _too_large(what, limit)
        parts: list[bytes] = []
        size = 0
        async for part in self.stream():
            size += len(part)
            if size > limit:
                self._response.close()
                raise _too_large(what, limit)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def stream(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives. Raises Unavailable if it is incomplete."""
        content = self._response.content
        try:
            while part := await content.readany():
                yield part
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            self._response.close()
            raise unavailable(str(self._response.url), exc) from exc
        finally:
            self._response.release()

    async def close(self) -> None:
        """Release the connection for reuse, or close it if too much of the body is unread."""
        length = self._response.content_length
        if not self._response.closed and length is not None and length <= _DRAINED:
            try:
                async with asyncio.timeout(_DRAIN_S):
                    await self._response.content.read()
            except (aiohttp.ClientError, TimeoutError, OSError):
                self._response.close()
        self._response.release()


def _too_large(what: str, limit: int) -> Fault:
    return Fault("SIZE_INVALID", f"{what} is larger than {limit} bytes", status=413)
