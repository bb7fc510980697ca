"""Replies to input that never becomes a request: not HTTP, too long a header, or no capacity left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.web.body import CUT, WANTED
from proxy.web.replies import error_body

FIELDS = 128  # header fields of one request


def _said(line: str, code: str, text: str, *headers: str) -> bytes:
    body = error_body(code, text)
    fields = [
        "Connection: close",
        "Content-Type: application/json",
        "Server: countersign",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([f"HTTP/1.1 {line}", *fields, "", ""]).encode() + body


FULL = _said(
    "503 Service Unavailable", "TOOMANYREQUESTS", "too many connections; try again in a few seconds", "Retry-After: 5"
)


NOT_HTTP = _said("400 Bad Request", "UNKNOWN", "the request could not be read as HTTP")
TOO_MANY_FIELDS = _said(
    "431 Request Header Fields Too Large", "UNKNOWN", f"more than {FIELDS} header fields; send fewer"
)


def too_long(most: int) -> bytes:
    """Return the refusal of a request whose header is longer than this many bytes."""
    text = (
        f"the header of a request may have {most} bytes in all (limits.header_bytes), this one has more; send fewer or "
    )
    text += "shorter header fields"
    return _said("431 Request Header Fields Too Large", "UNKNOWN", text)


def dated(refusal: bytes) -> bytes:
    """Return the refusal with the time of now, which an answer must have (RFC 9110 6.6.1)."""
    line, rest = refusal.split(b"\r\n", 1)
    return b"%b\r\nDate: %b\r\n%b" % (line, formatdate(usegmt=True).encode(), rest)


class Guard(Protocol):
    """What is told of each request on a connection."""

    def entered(self, content: StreamReader, left: int | None) -> None:
        """A request begins; `left` bytes of its body are still to come (None: chunked)."""

    def wanted(self) -> None:
        """A handler reads the body."""

    def answered(self) -> None:
        """The response was sent."""


class Ended:
    """The guard of a connection that has ended: it keeps nothing in memory."""

    def entered(self, content: StreamReader, left: int | None) -> None:
        """Do nothing."""

    def wanted(self) -> None:
        """Do nothing."""

    answered = wanted


class Speaker(RequestHandler):
    """aiohttp's protocol, except how requests are answered: one after another, in the connection's own task.

    aiohttp makes a task and a response object for each, and repeats input that is not HTTP in its error text.
    """

    guard: Guard  # set by the connection

    async def start(self) -> None:
        """Answer requests until the connection ends."""
        handler = cast("Callable[[web.BaseRequest], Awaitable[bool]]", self._request_handler)
        while not self._force_close and not self._close:
            message, payload = await self._next()
            if not isinstance(message, RawRequestMessage):
                self._refuse(message.exc, message.message)
                break
            request = self._entered(message, payload)
            self._request_in_progress = True
            try:
                self._keepalive = await handler(request)
            except BaseException:
                self.force_close()
                raise
            finally:
                self._request_in_progress, self._current_request = False, None
                if self._handler_waiter is not None:  # `shutdown` waits
                    self._handler_waiter.set_result(None)
                self.guard.answered()
            if not payload.is_eof():
                await self._drop_rest(payload)
            payload.set_exception(web.PayloadAccessError())
            if not self._keepalive or self._force_close or self._close:
                break
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _next(self) -> tuple[Any, StreamReader]:
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        next_one = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        return next_one

    def _entered(self, message: RawRequestMessage, payload: StreamReader) -> web.BaseRequest:
        writer, task = StreamWriter(self, self._loop), cast("asyncio.Task[None]", self._task_handler)
        request = web.BaseRequest(message, payload, self, writer, task, self._loop)
        self._current_request = request
        left: int | None = 0
        if not payload.is_eof():
            request[WANTED] = self.guard.wanted
            left = None if message.chunked else request.content_length or 0
        self.guard.entered(payload, left)
        return request

    async def _drop_rest(self, payload: StreamReader) -> None:
        """Read the rest of a body that nobody wanted for a while, so that the client sees the answer; then close."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        except (TimeoutError, *CUT):
            self.close()

    def _refuse(self, error: Exception, message: str | None) -> None:
        """Refuse a request that could not be parsed; the connection ends with it."""
        peer = self.peername[0] if isinstance(self.peername, tuple) else ""
        self.logger.info("not HTTP from %s: %s", peer, type(error).__name__)
        if self.transport is not None:
            fields = message is not None and message.startswith("Too many headers")
            self.transport.write(dated(TOO_MANY_FIELDS if fields else NOT_HTTP))
