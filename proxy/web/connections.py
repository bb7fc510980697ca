"""Connections with bounds: how many, how long a header may take, how long a client may stop reading (ATTACKS 28).

aiohttp has no header timeout and no bound on connections; every connection's protocol is therefore wrapped in one of
ours, which watches the bytes go by and passes everything on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.oci.limits import Limits
from proxy.web.outermost import Handler
from proxy.web.replies import error_body

_LOG = logging.getLogger("countersign.http")
KEEP_ALIVE_S = 75.0  # longer than the 60 s that clients and load balancers commonly keep idle connections
LINGER_S = 2.0  # for the rest of a body nobody reads, so that the client sees the refusal and not a reset
_FULL = error_body("TOOMANYREQUESTS", "too many connections; try again in a few seconds")
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_FULL), _FULL)
)


class Speaker(RequestHandler):
    """aiohttp's protocol, but what is not HTTP is answered in our words: nothing that was sent is repeated."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  repeats the request
    ) -> web.StreamResponse:
        """Return the refusal of a request that could not be parsed, and end the connection with it."""
        self.logger.info("not HTTP from %s: %s", request.remote, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        fields = {"content-type": "application/json", "server": "countersign"}
        body = error_body("UNKNOWN", "the request could not be read as HTTP")
        response = web.Response(status=status, headers=fields, body=body)
        response.force_close()
        return response


class Guarded(asyncio.Protocol):
    """One connection: aiohttp's protocol, with a deadline on request headers and on a client that stops reading."""

    def __init__(self, inner: RequestHandler, house: Connections) -> None:
        """Wrap a protocol that has no transport yet."""
        self.inner = inner
        self.busy = False  # between the end of a request's header and the end of its answer
        self.refused = False
        self.transport: asyncio.Transport | None = None
        self._house = house
        self._header: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or turn it away when the house is full and nobody in it is idle."""
        self.transport = cast("asyncio.Transport", transport)
        if not self._house.admit(self):
            self.refused = True
            self.transport.write(FULL)
            self.transport.close()
            return
        self._await_header()
        self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on; the first of a header start its deadline."""
        if self.refused:
            return
        if not self.busy and self._header is None:
            self._await_header()
        self.inner.data_received(data)

    def eof_received(self) -> None:
        """Let the connection close: a client that stopped sending has gone."""
        if not self.refused:
            self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._drop(header=True, stall=True)
        self._house.forget(self)
        if not self.refused:
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the deadline of a client that stopped reading."""
        self._stall = self._house.loop.call_later(self._house.limits.body_idle_s, self.abort)
        if not self.refused:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """End that deadline: the client reads again."""
        self._drop(stall=True)
        if not self.refused:
            self.inner.resume_writing()

    def entered(self) -> None:
        """A whole header was read and its request is being answered."""
        self.busy = True
        self._house.idle.pop(self, None)
        self._drop(header=True)

    def answered(self, *, body_read: bool) -> None:
        """The answer left. While the rest of an unread body still arrives, aiohttp's lingering time is the bound."""
        self.busy = not body_read
        if body_read and self.transport is not None and not self.transport.is_closing():
            self._house.idle[self] = None

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def _await_header(self) -> None:
        self._header = self._house.loop.call_later(self._house.limits.header_timeout_s, self.abort)

    def _drop(self, *, header: bool = False, stall: bool = False) -> None:
        if header and self._header is not None:
            self._header.cancel()
            self._header = None
        if stall and self._stall is not None:
            self._stall.cancel()
            self._stall = None


class Connections:
    """All connections of one listener; call it to get the protocol of a new one."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        """Start with none. Needs a running event loop."""
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.server = web.Server(self._watched(handler), request_factory=self._entered)
        self.idle: dict[Guarded, None] = {}  # answered before and waiting, the longest first
        self._open: dict[RequestHandler, Guarded] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        speaker = Speaker(
            self.server,
            loop=self.loop,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=min(LINGER_S, self.limits.body_idle_s),
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for none
            logger=_LOG,
        )
        return Guarded(speaker, self)

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    def admit(self, connection: Guarded) -> bool:
        """Take the connection in, in place of the one idle for longest when full. False when all are busy."""
        if len(self._open) >= self.limits.connections:
            idle = next(iter(self.idle), None)
            if idle is None:
                return False
            self.forget(idle)
            idle.abort()
        self._open[connection.inner] = connection
        return True

    def forget(self, connection: Guarded) -> None:
        """Take the connection out."""
        self._open.pop(connection.inner, None)
        self.idle.pop(connection, None)

    async def drain(self, grace_s: float, deadline_s: float) -> int:
        """Close every connection once it is done; return how many had to be cut at the deadline.

        Nothing new may be accepted any more. Connections without a request get `grace_s` for one.
        """
        now = self.loop.time()
        while self._open and self.loop.time() < now + deadline_s:
            if self.loop.time() >= now + grace_s:
                for idle in [c for c in self._open.values() if not c.busy]:
                    idle.inner.close()
                    if idle.transport is not None:
                        idle.transport.close()
            await asyncio.sleep(0.05)
        cut = list(self._open.values())
        for connection in cut:
            connection.abort()
        await self.server.shutdown(1.0)
        return len(cut)

    def _watched(self, handler: Handler) -> Handler:
        async def watched(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await handler(request)
            finally:
                connection = self._open.get(request.protocol)
                if connection is not None:
                    connection.answered(body_read=request.content.is_eof())

        return watched

    def _entered(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: object,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        connection = self._open.get(protocol)
        if connection is not None:
            connection.entered()
        return web.BaseRequest(message, payload, protocol, writer, task, self.loop)  # type: ignore[arg-type]
