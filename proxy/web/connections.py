"""Connections with limits: their number, the time for a header, the time a client may stop reading (ATTACKS 28).

aiohttp has none of these limits; each of its protocols is wrapped in one of ours, which passes bytes on one request at
a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVarTuple, cast

from aiohttp import web
from aiohttp.streams import StreamReader

from proxy.oci.limits import Limits
from proxy.oci.shares import Shares, network_of
from proxy.web.body import Sweep
from proxy.web.call import Network, is_in
from proxy.web.deadline import Deadline
from proxy.web.intake import Intake, Phase, TooMuch
from proxy.web.outermost import Handler
from proxy.web.speaker import FIELDS, FULL, Ended, Speaker, dated, too_long

Ts = TypeVarTuple("Ts")
_LOG = logging.getLogger("countersign.http")
KEEP_ALIVE_S = 75.0  # longer than the 60 s for which clients and load balancers commonly keep idle connections
LINGER_S = 2.0  # to receive the rest of an unread body, so that the client sees the refusal instead of a reset
LITTLE = 16 * 1024  # bytes per read while no handler reads the body
MUCH = 256 * 1024  # bytes per read while a handler reads the body
READ_AHEAD = 64 * 1024  # bytes of a body buffered ahead of its reader


class Guarded(asyncio.BufferedProtocol):
    """One connection: aiohttp's protocol, with limits on unrequested bytes and on time."""

    def __init__(self, inner: Speaker, ports: Connections) -> None:
        """Wrap a protocol that has no transport yet."""
        self.inner = inner
        inner.guard = self
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
        """Accept the connection; refuse it when the limit is reached and no idle connection can be closed."""
        if self.refused:  # lost at the end of its TLS handshake
            return
        known, self.transport = self.transport is not None, cast("asyncio.Transport", transport)
        if not known and not self.enter(self.transport):
            self.refused = True
            self.transport.write(dated(FULL))
            self.transport.close()
            return
        self._made = True
        self._header.start()
        self.inner.connection_made(transport)
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def enter(self, transport: asyncio.Transport) -> bool:
        """Count the connection, before its TLS handshake if it has one. Return False when the limit is reached."""
        self.transport = transport
        self.holder = self.intake.holder = self._ports.holder_of(transport)
        return self._ports.admit(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the read buffer, small until a handler reads the body. All connections share it; data is copied."""
        del sizehint
        return self._ports.buffer if self.intake.phase is Phase.BODY else self._ports.buffer[:LITTLE]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass the received bytes on."""
        self.data_received(bytes(self._ports.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on to the intake; the first byte of a header starts its deadline."""
        if self.refused:
            return
        if not self._made:  # arrived with the last bytes of the handshake
            self._early += data
            return
        if not self.busy and not self._header.running:
            self._header.start()
        self._turn(self.intake.arrived, data)

    def eof_received(self) -> None:
        """Let the connection close: a client that stopped sending counts as gone."""
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
        self.inner.guard = Ended()

    def pause_writing(self) -> None:
        """Start the deadline of a client that stopped reading."""
        self._stall.start()
        if self._made:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Stop that deadline: the client reads again."""
        self._stall.met()
        if self._made:
            self.inner.resume_writing()

    def entered(self, content: StreamReader, left: int | None) -> None:
        """Note that a request begins; `left` bytes of its body are still to come (None: chunked)."""
        self.busy = True
        self._ports.idle.pop(self, None)
        self._header.met()
        self._turn(self.intake.entered, content, left)

    def wanted(self) -> None:
        """Note that a handler reads the body."""
        self._turn(self.intake.wanted)

    def answered(self) -> None:
        """Note that the response was sent. aiohttp's lingering time limits the wait for the rest of an unread body."""
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
        """Run a step of the intake; pause reading from the client while received bytes wait for their turn."""
        try:
            step(*given)
        except TooMuch as much:
            self._end(dated(FULL if much.share else too_long(self._ports.limits.header_bytes)))
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
        """Send this reply and ignore further input; if a request is in progress, abort the connection instead."""
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
        # Closing at once would turn the reply into a reset if the client is still sending.
        self._lingering = self._ports.loop.call_later(LINGER_S, self.transport.close)


class Connections:
    """All connections of one listener; calling it returns the protocol of a new connection."""

    def __init__(self, handler: Handler, limits: Limits, trusted: Sequence[Network] = ()) -> None:
        """Start with none. Connections from `trusted` proxies have no share of their own. Needs a running loop."""
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.server = web.Server(handler)  # type: ignore[arg-type]  # `Speaker` answers, with our own handler
        self.idle: dict[Guarded, None] = {}  # idle after an earlier response, the longest idle first
        self.headers = Shares(limits.waiting_bytes)
        self.buffer = memoryview(bytearray(MUCH))
        self._shares = Shares(limits.connections)
        self._trusted = trusted
        self._open: dict[Speaker, Guarded] = {}
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
        """Return the holder whose share this connection uses; None if many callers share the address."""
        peer = transport.get_extra_info("peername")
        if not isinstance(peer, tuple) or is_in(peer[0], self._trusted):
            return None
        return network_of(peer[0])

    def admit(self, connection: Guarded) -> bool:
        """Count the connection, closing the longest idle one when full. Return False when the limit is reached.

        A holder that already uses its share can only displace its own idle connections, never those of others.
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
        """Remove the connection."""
        if self._open.pop(connection.inner, None) is not None:
            self._shares.give_back(connection.holder)
            self._sweep.ended()
        self.idle.pop(connection, None)

    async def drain(self, grace_s: float, deadline_s: float) -> int:
        """Close every connection once its request is done; return how many were cut at the deadline.

        The caller has stopped accepting before. Connections without a request get `grace_s` to send one.
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
