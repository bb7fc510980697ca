"""Connections with bounds: how many, how long a header may take, how long a client may stop reading (ATTACKS 28).

aiohttp has neither; every connection's protocol is wrapped in one of ours, which hands bytes on in their turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVarTuple, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.oci.limits import Limits
from proxy.oci.shares import Shares, network_of
from proxy.web.body import WANTED
from proxy.web.call import Network, is_in
from proxy.web.deadline import Deadline
from proxy.web.given_back import Sweep
from proxy.web.intake import Intake, Phase, TooMuch
from proxy.web.outermost import Handler
from proxy.web.speaker import FIELDS, FULL, Speaker, too_long

Ts = TypeVarTuple("Ts")
_LOG = logging.getLogger("countersign.http")
KEEP_ALIVE_S = 75.0  # longer than the 60 s that clients and load balancers commonly keep idle connections
LINGER_S = 2.0  # for the rest of a body nobody reads, so that the client sees the refusal and not a reset
LITTLE = 16 * 1024  # read at once while nobody has asked for more
MUCH = 256 * 1024  # and of a body that somebody reads
READ_AHEAD = 64 * 1024  # of a body, before whoever reads it has taken what is there


class Guarded(asyncio.BufferedProtocol):
    """One connection: aiohttp's protocol, with bounds on what it may send unasked and on how long it may take."""

    def __init__(self, inner: RequestHandler, ports: Connections) -> None:
        """Wrap a protocol that has no transport yet."""
        self.inner = inner
        self.busy = False  # between the end of a request's header and the end of its answer
        self.refused = False
        self.holder: str | None = None
        self.transport: asyncio.Transport | None = None
        self.intake = Intake(inner.data_received, self._rested, ports.limits.header_bytes, ports.headers)
        self._ports = ports
        self._early = b""
        self._made = self._paused = False
        self._header = Deadline(ports.loop, ports.limits.header_timeout_s, self.abort)
        self._stall = Deadline(ports.loop, ports.limits.body_idle_s, self.abort)
        self._lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or turn it away when the house is full and nobody in it is idle."""
        if self.refused:  # lost at the end of its handshake
            return
        known, self.transport = self.transport is not None, cast("asyncio.Transport", transport)
        if not known and not self.enter(self.transport):
            self.refused = True
            self.transport.write(FULL)
            self.transport.close()
            return
        self._made = True
        self._header.start()
        self.inner.connection_made(transport)
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def enter(self, transport: asyncio.Transport) -> bool:
        """Take the connection in, before its handshake where there is one. False when there is no room."""
        self.transport = transport
        self.holder = self.intake.holder = self._ports.holder_of(transport)
        return self._ports.admit(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to: little, unless somebody reads the body. All connections share it: it is copied."""
        del sizehint
        return self._ports.buffer if self.intake.phase is Phase.BODY else self._ports.buffer[:LITTLE]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self.data_received(bytes(self._ports.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on, each in its turn; the first of a header start its deadline."""
        if self.refused:
            return
        if not self._made:  # with the last bytes of its handshake
            self._early += data
            return
        if not self.busy and not self._header.running:
            self._header.start()
        self._turn(self.intake.arrived, data)

    def eof_received(self) -> None:
        """Let the connection close: a client that stopped sending has gone."""
        if self._made:
            self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._header.close()
        self._stall.close()
        if self._lingering is not None:
            self._lingering.cancel()
        self.refused = True
        self.intake.close()
        self._ports.forget(self)
        if self._made:
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the deadline of a client that stopped reading."""
        self._stall.start()
        if self._made:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """End that deadline: the client reads again."""
        self._stall.met()
        if self._made:
            self.inner.resume_writing()

    def entered(self, content: StreamReader, left: int | None) -> None:
        """A request begins; `left` bytes of its body are to come (None: chunked)."""
        self.busy = True
        self._ports.idle.pop(self, None)
        self._header.met()
        self._turn(self.intake.entered, content, left)

    def wanted(self) -> None:
        """Somebody reads the body."""
        self._turn(self.intake.wanted)

    def answered(self) -> None:
        """The answer left. While the rest of an unread body still arrives, aiohttp's lingering time is the bound."""
        if not self.refused:
            self._turn(self.intake.answered)

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def _rested(self) -> None:
        self.busy = False
        if self.transport is not None and not self.transport.is_closing():
            self._ports.idle[self] = None
        if self.intake.waiting and not self._header.running:
            self._header.start()

    def _turn(self, step: Callable[[*Ts], None], *given: *Ts) -> None:
        """Take a step of the intake; who has sent more than is for now sends no more until it is."""
        try:
            step(*given)
        except TooMuch as much:
            self._end(FULL if much.share else too_long(self._ports.limits.header_bytes))
            return
        if not self.intake.waiting and not self._paused:
            return
        if self.transport is None or self.transport.is_closing():
            return
        if self.intake.waiting and not self._paused:
            self.transport.pause_reading()
        elif self._paused and not self.intake.waiting:
            self.transport.resume_reading()
        self._paused = bool(self.intake.waiting)

    def _end(self, reply: bytes) -> None:
        """Say this, and read no more of it; a request that is being answered is cut."""
        self.refused = True
        self._header.close()
        self.intake.close()
        if self.transport is None:
            return
        if self.busy:
            self.transport.abort()
            return
        self.transport.write(reply)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # What is still under way to us would turn the answer into a reset.
        self._lingering = self._ports.loop.call_later(LINGER_S, self.transport.close)


class Connections:
    """All connections of one listener; call it to get the protocol of a new one."""

    def __init__(self, handler: Handler, limits: Limits, trusted: Sequence[Network] = ()) -> None:
        """Start with none. Connections from `trusted` proxies have no share of their own. Needs a running loop."""
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.server = web.Server(self._watched(handler), request_factory=self._entered)
        self.idle: dict[Guarded, None] = {}  # answered before and waiting, the longest first
        self.headers = Shares(limits.waiting_bytes)
        self.buffer = memoryview(bytearray(MUCH))
        self._shares = Shares(limits.connections)
        self._trusted = trusted
        self._open: dict[RequestHandler, Guarded] = {}
        self._sweep = Sweep(self.loop)

    def __call__(self) -> Guarded:
        """Return the protocol of a new connection."""
        speaker = Speaker(
            self.server,
            loop=self.loop,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=min(LINGER_S, self.limits.body_idle_s),
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for none
            logger=_LOG,
            max_line_size=self.limits.header_bytes,
            max_field_size=self.limits.header_bytes,
            max_headers=FIELDS,
            read_bufsize=READ_AHEAD,
        )
        return Guarded(speaker, self)

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    def holder_of(self, transport: asyncio.BaseTransport) -> str | None:
        """Return whose share this connection counts against; None where many stand behind one address."""
        peer = transport.get_extra_info("peername")
        if not isinstance(peer, tuple) or is_in(peer[0], self._trusted):
            return None
        return network_of(peer[0])

    def admit(self, connection: Guarded) -> bool:
        """Take the connection in, in place of the one idle for longest when full. False when there is no room.

        Who has a share already makes room for itself only: nobody else's idle connection is closed for it.
        """
        while not self._shares.take(connection.holder):
            own = self._shares.over(connection.holder)
            idle = next((each for each in self.idle if not own or each.holder == connection.holder), None)
            if idle is None:
                return False
            self.forget(idle)
            idle.abort()
        self._open[connection.inner] = connection
        return True

    def forget(self, connection: Guarded) -> None:
        """Take the connection out."""
        if self._open.pop(connection.inner, None) is not None:
            self._shares.give_back(connection.holder)
            self._sweep.ended()
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
                if (connection := self._open.get(request.protocol)) is not None:
                    connection.answered()

        return watched

    def _entered(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: object,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        request = web.BaseRequest(message, payload, protocol, writer, task, self.loop)  # type: ignore[arg-type]
        if (connection := self._open.get(protocol)) is not None:
            request[WANTED] = connection.wanted
            left = 0 if payload.is_eof() else None if message.chunked else request.content_length or 0
            connection.entered(payload, left)
        return request
