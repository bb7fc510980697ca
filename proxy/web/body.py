"""The body of a request: read once, as it arrives, with a limit on how long the client may be silent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from collections.abc import AsyncIterator, Callable

from aiohttp import ClientPayloadError, web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import BadHttpMessage

from proxy.oci.faults import Fault

CUT = (
    web.RequestPayloadError,
    web.PayloadAccessError,
    ClientPayloadError,
    HttpProcessingError,
    BadHttpMessage,
    ConnectionError,
    asyncio.IncompleteReadError,
)
# Stored in a request: the function to call before its body is read.
WANTED: web.RequestKey[Callable[[], None]] = web.RequestKey("wanted", Callable[[], None])  # type: ignore[arg-type]


class Body:
    """The chunks of a body. `100 Continue` is sent when reading begins: after a refusal the client need not send it."""

    continued = False
    received = 0
    fault: Fault | None = None  # why the body ended early: raised to the flows and used for the final answer

    def __init__(self, request: web.BaseRequest, idle_s: float) -> None:
        """Store the request; nothing is read yet."""
        self._request = request
        self._idle_s = idle_s
        headers = request.headers
        self.present = request.body_exists
        self.length = request.content_length if "Content-Length" in headers else None if self.present else 0
        self.chunked = "Transfer-Encoding" in headers
        self.expected = "Expect" in headers and request.version >= (1, 1) and bool(headers["Expect"])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body. Raises Fault when the client falls silent or disconnects."""
        if (wanted := self._request.get(WANTED)) is not None:
            wanted()
        if self.expected and not self.continued:
            self.continued = True
            # aiohttp's own handler does the same; output_size must count only the response's bytes.
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0
        while True:
            try:
                async with asyncio.timeout(self._idle_s):
                    chunk = await self._request.content.readany()
            except TimeoutError:
                text = f"no byte of the request body arrived for {self._idle_s:g} seconds; send it again"
                self.fault = Fault("UNKNOWN", text, status=408)
                raise self.fault from None
            except CUT as error:
                self.fault = Fault("UNKNOWN", "the request body broke off or is not valid HTTP", status=400)
                raise self.fault from error
            if not chunk:
                return
            self.received += len(chunk)
            yield chunk

    @property
    def pending(self) -> bool:
        """True while bytes of the body may still arrive."""
        return self.present and not self._request.content.is_eof()


CROWD = 1000  # ended connections after which memory is returned
SWEEP_S = 5.0  # delay, so that the last requests of the crowd have ended


class Sweep:
    """Counts ended connections, and returns their memory to the system after every `CROWD` of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with none."""
        self._loop = loop
        self._ended = 0

    def ended(self) -> None:
        """Count one ended connection."""
        self._ended += 1
        if self._ended == CROWD:
            self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._ended = 0
        if give_back_memory() > CROWD:  # the last requests of the crowd may not have ended yet
            self._loop.call_later(SWEEP_S, self._sweep)


def give_back_memory() -> int:
    """Collect reference cycles, return free pages to the system, and return the number of objects collected.

    Takes some tens of milliseconds, during which the event loop is blocked.
    """
    found = gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # a C library that is not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return found
