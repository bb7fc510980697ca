"""TLS before it is HTTP: a connection counts from its first moment, not from the end of its handshake."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from proxy.web.connections import Connections, Guarded


class Handshake(asyncio.Protocol):
    """One connection until it is encrypted; then its bytes are those of a `Guarded`.

    Where there is no room nobody shakes hands: the connection ends without a word, which would need the handshake.
    """

    def __init__(self, ports: Connections, context: ssl.SSLContext) -> None:
        """Wait for the transport."""
        self._ports = ports
        self._context = context
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in, or end it; nothing is read before the handshake begins."""
        raw = cast("asyncio.Transport", transport)
        guarded = self._ports()
        if not guarded.enter(raw):
            raw.abort()
            return
        raw.pause_reading()
        self._task = self._ports.loop.create_task(self._shake(guarded, raw))

    async def _shake(self, guarded: Guarded, raw: asyncio.Transport) -> None:
        seconds = self._ports.limits.header_timeout_s
        secured: asyncio.Transport | None = None
        try:
            secured = await self._ports.loop.start_tls(
                raw, guarded, self._context, server_side=True, ssl_handshake_timeout=seconds
            )
        except OSError:  # of TLS, too; whoever it was has gone or speaks something else
            raw.abort()
        finally:
            if secured is None:
                self._ports.forget(guarded)
        if secured is not None:
            guarded.connection_made(secured)
