"""Listeners: connect the handlers to sockets and TLS, and drain them (ARCHITECTURE 8)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from proxy.oci.limits import Limits
from proxy.web.call import Network
from proxy.web.connections import Connections, Guarded
from proxy.web.outermost import Handler

GRACE_S = 2.0  # for the first request on connections that are already accepted
BACKLOG = 1024


@dataclass(frozen=True)
class Address:
    """An address to listen on: host and port (0: any free port). Host `::` means all addresses, IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return HOST:PORT as written in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tls:
    """A certificate and its key; `reload` exchanges them for new connections without dropping old ones."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Load both. With `client_ca`, clients may use certificates of these CAs. Raises OSError or ssl.SSLError."""
        self._files = (str(certificate), str(key))
        self._client_ca = client_ca
        self.context = self._fresh()

    def reload(self) -> None:
        """Load the files again. Raises OSError or ssl.SSLError; the old certificate and key then stay in use."""
        self._fresh()
        self.context.load_cert_chain(*self._files, password=_nobody_to_ask)

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._files, password=_nobody_to_ask)
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # a client without a certificate uses a token
            context.options |= ssl.OP_NO_TICKET  # every connection presents its own certificate
            context.num_tickets = 0
        return context


def _nobody_to_ask() -> str:
    """Refuse: OpenSSL would prompt on the terminal, and the server would hang until a person answers."""
    raise ssl.SSLError("the private key has a passphrase; give one without, readable by this user only")


class Listener:
    """One handler on one address."""

    def __init__(self, handler: Handler, limits: Limits, trusted: Sequence[Network] = ()) -> None:
        """Listen nowhere yet; `trusted` are proxies in front of us. Needs a running event loop."""
        self.connections = Connections(handler, limits, trusted)
        self._limits = limits
        self.missing = ""  # the address family missing on this machine, when both were requested
        self._servers: list[asyncio.Server] = []
        self._path: Path | None = None

    async def listen(self, address: Address, tls: Tls | None = None) -> Address:
        """Listen and return the address, with the real port. Raises OSError."""
        loop = asyncio.get_running_loop()
        ports, context = self.connections, None if tls is None else tls.context
        door = ports if context is None else lambda: Handshake(ports, context)
        if address.host != "::":
            server = await loop.create_server(door, address.host, address.port, backlog=BACKLOG)
            self._servers = [server]
            host, port = server.sockets[0].getsockname()[:2]
            return Address(host, port)
        sockets, missing = everywhere(address.port)
        for bound in sockets:
            self._servers.append(await loop.create_server(door, sock=bound, backlog=BACKLOG))
        self.missing = missing
        return Address(address.host, sockets[0].getsockname()[1])

    async def listen_unix(self, path: Path) -> None:
        """Listen on a socket that only this user can open; a dead one of that name is replaced. Raises OSError."""
        self._servers = [await asyncio.get_running_loop().create_unix_server(self.connections, sock=_bind(path))]
        self._path = path

    async def stop_accepting(self) -> None:
        """Close the socket after taking in the connections that the kernel has already accepted."""
        await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108  one system call on a socket of our own

    async def leave(self, grace_s: float, deadline_s: float) -> int:
        """Stop accepting, finish or cut open requests, and return how many connections were cut."""
        await self.stop_accepting()
        return await self.connections.drain(grace_s, deadline_s)


def _bind(path: Path) -> socket.socket:
    """Return a socket bound to the path with mode 0600 from its first moment."""
    if path.is_socket():
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def _unheard(text: str) -> None:
    """Ignore the message."""


class Server:
    """The listeners of one process. `leaving` controls readiness and `Connection: close`."""

    def __init__(self, leaving: asyncio.Event, limits: Limits, told: Callable[[str], object] = _unheard) -> None:
        """Listen nowhere yet. `told` receives messages about an address when a listener opens on it."""
        self.leaving = leaving
        self._limits = limits
        self._told = told
        self._public: list[Listener] = []
        self._inward: list[Listener] = []

    async def public(
        self, handler: Handler, address: Address, tls: Tls | None = None, trusted: Sequence[Network] = ()
    ) -> Address:
        """Listen for registry clients, also behind `trusted` proxies. Raises OSError."""
        listener = Listener(handler, self._limits, trusted)
        self._public.append(listener)
        return await self._listen(listener, address, tls)

    async def admin(self, handler: Handler, address: Address, tls: Tls | None = None) -> Address:
        """Listen for operators and probes; this listener closes last, so that probes can see readiness go off."""
        listener = Listener(handler, self._limits)
        self._inward.append(listener)
        return await self._listen(listener, address, tls)

    async def _listen(self, listener: Listener, address: Address, tls: Tls | None) -> Address:
        at = await listener.listen(address, tls)
        if listener.missing:
            self._told(f"this machine has no {listener.missing}: port {at.port} is served without it")
        return at

    async def local(self, handler: Handler, path: Path) -> None:
        """Listen for commands on this host. Raises OSError."""
        listener = Listener(handler, self._limits)
        self._inward.append(listener)
        await listener.listen_unix(path)

    async def leave(self, grace_s: float = GRACE_S) -> int:
        """Drain every listener within Limits.drain_s; return how many transfers were cut."""
        self.leaving.set()
        cut = sum(await asyncio.gather(*(each.leave(grace_s, self._limits.drain_s) for each in self._public)))
        await asyncio.gather(*(each.leave(0.0, 1.0) for each in self._inward))
        return cut


class Handshake(asyncio.Protocol):
    """One connection until it is encrypted; from then on a `Guarded` gets its bytes.

    The connection counts from the start of its handshake, not from the end. When the limit is reached, it is closed
    without a handshake and so without a reply, because a reply would need the handshake.
    """

    def __init__(self, ports: Connections, context: ssl.SSLContext) -> None:
        """Wait for the transport."""
        self._ports = ports
        self._context = context
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or close it; nothing is read before the handshake begins."""
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
        except OSError:  # TLS errors included; the client has gone or does not speak TLS
            raw.abort()
        finally:
            if secured is None:
                self._ports.forget(guarded)
        if secured is not None:
            guarded.connection_made(secured)


TRIES = 16  # attempts to find a port free in both families; a configured port is tried once
_FAMILIES = (("IPv4", socket.AF_INET, "0.0.0.0"), ("IPv6", socket.AF_INET6, "::"))  # noqa: S104
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def everywhere(port: int) -> tuple[list[socket.socket], str]:
    """Return sockets bound to one port, IPv4 and IPv6, and the name of a family that this machine does not have.

    Two sockets instead of one for both: callers over IPv4 keep their addresses, which networks in the configuration
    name. Raises OSError if the port is taken in either family, or if the machine has neither family.
    """
    for attempt in range(TRIES):
        try:
            return _both(port)
        except OSError as taken:
            if port != 0 or taken.errno != errno.EADDRINUSE or attempt + 1 == TRIES:
                raise
    raise AssertionError("unreachable")


def _both(port: int) -> tuple[list[socket.socket], str]:
    bound: list[socket.socket] = []
    missing: list[tuple[str, OSError]] = []
    try:
        for name, family, host in _FAMILIES:
            try:
                bound.append(_bound(family, host, port))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing.append((name, error))
            else:
                port = bound[-1].getsockname()[1]
    except OSError:
        for one in bound:
            one.close()
        raise
    if not bound:
        raise missing[0][1]
    return bound, missing[0][0] if missing else ""


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does: a restart need not wait
        if family is socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    return one
