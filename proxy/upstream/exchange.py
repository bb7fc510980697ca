"""One outgoing HTTP exchange: the only module that handles aiohttp's client and its exceptions."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import LineTooLong
from multidict import CIMultiDict
from yarl import URL

from proxy.oci.faults import Told, Unavailable
from proxy.oci.limits import KIB, Limits
from proxy.upstream.location import origin

_NOT_BY_ITSELF = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
HEADER_BYTES = 64 * KIB  # limit of one header from upstream, and of its status line: gateways add many headers
_NAME = 256  # of a header name; aiohttp counts it as part of the size
FIELDS = 256  # header fields of one response
_WHY = 160  # characters of a library's error text
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


class _Broken(aiohttp.ClientError):
    """The connection broke before a response; aiohttp does not repeat a request that fails with this type.

    After its own errors it would, even for a PUT whose body is already consumed.
    """


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # never connected: nothing was sent
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as exc:
        raise _Broken(str(exc) or type(exc).__name__) from exc


class Exchange:
    """Sends requests below one URL, and to the token realm beside it. `base` has no trailing slash."""

    def __init__(
        self, url: str, limits: Limits, *, ca_file: str | None = None, client_cert: tuple[str, str] | None = None
    ) -> None:
        """Connect to nothing yet. Raises ValueError for a URL that is not plain http or https."""
        self.base = url.rstrip("/")
        self.origin = origin(url)
        self._root = "{0.scheme}://{0.netloc}/".format(urlsplit(url))
        self.limits = limits
        if urlsplit(url).query or urlsplit(url).fragment:
            raise ValueError(f"upstream's URL has a query or a fragment: {url[:80]!a}")
        self._ca_file, self._client_cert = ca_file, client_cert
        if ca_file is not None or client_cert is not None:
            _ = self._upstream  # fails now if a file does not load
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._names = Names()
        self.silent: str | None = None  # why upstream did not answer the last request, None if it did

    @cached_property
    def _elsewhere(self) -> ssl.SSLContext:
        # Loading the system's CAs takes 50 ms: skipped if only plain HTTP is used.
        return ssl.create_default_context(cafile=self._ca_file)

    @cached_property
    def _upstream(self) -> ssl.SSLContext:
        if self._client_cert is None:
            return self._elsewhere
        # Our client certificate is for upstream only, not for its token realm.
        context = ssl.create_default_context(cafile=self._ca_file)
        context.load_cert_chain(*self._client_cert)
        return context

    def _tls(self, url: str) -> ssl.SSLContext | bool:
        if not url.startswith("https:"):
            return True  # aiohttp requires a value and does not use it
        return self._upstream if url.startswith(self._root) else self._elsewhere

    async def send(
        self,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        body: bytes | AsyncIterable[bytes] | None = None,
        *,
        length: int | None = None,
        again: bool = False,
        transfer: bool = False,
    ) -> aiohttp.ClientResponse:
        """Return the response once its headers have arrived; redirects are not followed, bodies not decompressed.

        `url` is sent as written. `length` is the length of an iterated body; without it the body is chunked. `again`
        allows a second attempt when a kept connection turns out to be dead. `transfer` uses the connection pool for
        bodies that a caller reads or writes: those wait for callers, and other requests never wait for them. Raises
        Unavailable.
        """
        given = CIMultiDict([("Accept-Encoding", "identity"), *headers])
        if isinstance(body, bytes):
            length = len(body)
            body = body or None  # an empty body is sent as no body
        if length is not None:
            given["Content-Length"] = str(length)
        try:
            try:
                answer = await self._attempt(method, url, given, body, length, transfer=transfer)
            except _Broken:
                if not again or body is not None:
                    raise
                answer = await self._attempt(method, url, given, body, length, transfer=transfer)
            if url.startswith(self._root):
                self.silent = None
            return answer
        except _FAILURES as exc:
            failed = unavailable(url, exc)
            if url.startswith(self._root) and (body is None or isinstance(body, bytes)):  # not the caller's body
                self.silent = failed.what
            raise failed from exc

    async def _attempt(
        self,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterable[bytes] | None,
        length: int | None,
        *,
        transfer: bool,
    ) -> aiohttp.ClientResponse:
        session = self._opened(transfer=transfer)
        if body is None:
            return await self._request(session, method, url, headers, None)
        idle = self.limits.body_idle_s
        async with asyncio.timeout(2 * idle if isinstance(body, bytes) else None) as deadline:
            data = body if isinstance(body, bytes) else _Watched(body, length, deadline, idle).chunks()
            return await self._request(session, method, url, headers, data)

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        data: bytes | AsyncIterable[bytes] | None,
    ) -> aiohttp.ClientResponse:
        return await session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=data,
            allow_redirects=False,
            ssl=self._tls(url),
        )

    def _opened(self, *, transfer: bool) -> aiohttp.ClientSession:
        if transfer not in self._sessions:
            most = self.limits.upstream_connections if transfer else self.limits.upstream_questions
            self._sessions[transfer] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=most, resolver=self._names),
                timeout=aiohttp.ClientTimeout(
                    total=None,  # a large layer may take any time
                    connect=self.limits.body_idle_s,
                    sock_connect=self.limits.header_timeout_s,
                    sock_read=self.limits.body_idle_s,
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_NOT_BY_ITSELF,
                max_line_size=HEADER_BYTES,
                max_field_size=HEADER_BYTES + _NAME,
                max_headers=FIELDS,
                middlewares=(_once,),
            )
        return self._sessions[transfer]

    async def certificate(self) -> bytes | None:
        """Return the certificate (DER) that upstream presents on a new connection, None over plain HTTP.

        Raises Unavailable when upstream does not answer, or presents a certificate that is not accepted.
        """
        parts = urlsplit(self.base)
        if parts.scheme != "https":
            return None
        try:
            async with asyncio.timeout(self.limits.header_timeout_s):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=self._upstream)
        except _FAILURES as exc:
            raise unavailable(self.base, exc) from exc
        shown = writer.get_extra_info("ssl_object")
        writer.close()
        return None if shown is None else shown.getpeercert(binary_form=True)

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        await self._names.close()


class _Watched:
    """A body sent upstream: its announced length is enforced, and upstream has `idle` seconds to accept each chunk.

    aiohttp has a timeout for reading, none for writing. The timer is stopped while we wait for the caller's next chunk:
    the public listener limits how slow a caller may be.
    """

    def __init__(self, body: AsyncIterable[bytes], length: int | None, deadline: asyncio.Timeout, idle: float) -> None:
        self._body = body
        self._left = length
        self._deadline = deadline
        self._idle = idle

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            if self._left is not None:
                self._left -= len(chunk)
                if self._left < 0:
                    raise ValueError("body is longer than its Content-Length")
            self._until(asyncio.get_running_loop().time() + self._idle)
            yield chunk
            self._until(None)
        if self._left:
            raise ValueError(f"body ended {self._left} bytes short of its Content-Length")

    def _until(self, when: float | None) -> None:
        # A response that arrives before the whole body was sent has ended the deadline; the rest is sent or dropped.
        if self._deadline.when() != when and not self._deadline.expired():
            try:
                self._deadline.reschedule(when)
            except RuntimeError:
                return


def unavailable(url: str, exc: BaseException) -> Unavailable:
    """Return the exception with URL and reason on one line; the query is left out because it may hold state."""
    if _too_long(exc):
        text = f"upstream sent a header of more than the {HEADER_BYTES} bytes that are read ({url.partition('?')[0]})"
        return Unavailable(text, told=Told.HEADERS)
    if isinstance(exc, TimeoutError):
        why = "no answer in time"
    else:
        why = exc.message if isinstance(exc, aiohttp.ClientResponseError) else _not_connected(exc) or str(exc)
        why = "".join(c for c in why.partition("\n")[0] if " " <= c <= "~")[:_WHY] or type(exc).__name__
    return Unavailable(f"upstream did not answer: {why} ({url.partition('?')[0]})", told=Told.REGISTRY)


def _not_connected(exc: BaseException) -> str | None:
    """Return why no connection was made, without the form that aiohttp gives it; None if that was not the reason."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        wrong = exc.certificate_error
        return f"its certificate is not accepted: {getattr(wrong, 'verify_message', '') or wrong}"
    if not isinstance(exc, aiohttp.ClientConnectorError):
        return None
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return f"the name {exc.host} does not resolve ({exc.os_error.strerror})"
    if isinstance(exc.os_error, ssl.SSLError):
        return f"TLS failed: {exc.os_error.reason or exc.os_error}; does it speak plain HTTP?"
    return os.strerror(exc.os_error.errno) if exc.os_error.errno else None


def _too_long(exc: BaseException | None) -> bool:
    while exc is not None and not isinstance(exc, LineTooLong):
        exc = exc.__cause__
    return exc is not None


AT_ONCE = 4  # threads: results are cached, so few look-ups run at once
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Names(AbstractResolver):
    """Uses the system's resolver, like aiohttp's default, but not in the shared threads."""

    def __init__(self) -> None:
        """No thread runs yet."""
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of this host. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _looked_up, host, port, family)

    async def close(self) -> None:
        """Stop: queued look-ups are cancelled, running ones are not awaited."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _looked_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0],  # keeps the IPv6 scope
            port=port,
            family=kind,
            proto=proto,
            flags=_NUMERIC,
        )
        for kind, _, proto, _, address in found
    ]
