"""Passes the bytes of a connection on one request at a time; later bytes wait, are counted, and stop reading.

aiohttp parses everything that has arrived: dozens of requests behind the one in progress, and half a megabyte of a body
that no handler has read. Here a header is passed on only when its turn comes, a body only when a handler reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum, auto
from typing import Protocol

from proxy.oci.shares import Shares
from proxy.registry.request import do_nothing

_END = b"\r\n\r\n"


def _dropped(_data: bytes) -> None:
    """Drop the bytes: the connection has ended."""


class Content(Protocol):
    """The body of the current request, as the parser fills it."""

    def is_eof(self) -> bool:
        """Return whether the parser has seen the end of the body."""


class Phase(Enum):
    """The part of a request that the next bytes belong to."""

    HEADER = auto()  # the header of the next request
    PARSED = auto()  # bytes behind a complete header whose request has not begun
    UNREAD = auto()  # a body that no handler reads yet
    BODY = auto()
    BEHIND = auto()  # bytes behind a complete request that is in progress


class TooMuch(Exception):
    """The header is longer than allowed (`share` False), or no room is left for more bytes now (True)."""

    def __init__(self, *, share: bool) -> None:
        super().__init__()
        self.share = share


class Intake:
    """The bytes of one connection. Every call that passes bytes on may raise TooMuch, which ends the connection."""

    def __init__(
        self,
        hand_on: Callable[[bytes], None],
        rested: Callable[[], None],
        most: int,
        headers: Shares,
        holder: Hashable | None = None,
    ) -> None:
        """`most` is the size limit of one header; waiting bytes count against the holder's share of `headers`.

        `rested` is called when a request has ended and its body is read: the next header may come.
        """
        self.phase = Phase.HEADER
        self.waiting = bytearray()  # received, not passed on yet
        self._hand_on = hand_on
        self._rested = rested
        self._most = most
        self._headers = headers
        self.holder = holder
        self._counted = 0  # taken from `headers`
        self._size = 0  # bytes of the header so far
        self._last = b""  # the header's last bytes: its end mark may arrive in two parts
        self._content: Content | None = None
        self._left: int | None = 0  # bytes of the body still to come; None: only the parser knows
        self._answered = True

    def arrived(self, data: bytes) -> None:
        """Pass on the bytes whose turn it is, and keep the rest."""
        while data:
            if self.phase is Phase.HEADER:
                data = self._of_header(data)
            elif self.phase is Phase.BODY:
                data = self._of_body(data)
            else:
                self.waiting += data
                if self.phase is Phase.BEHIND:
                    self._count(len(data))
                return

    def entered(self, content: Content, left: int | None) -> None:
        """Note that a request begins; `left` bytes of its body are still to come (None: chunked)."""
        self._uncount()
        self._content, self._left, self._answered = content, left, False
        done = left == 0 or content.is_eof()
        self.phase = Phase.BEHIND if done else Phase.UNREAD
        if done:
            self._count(len(self.waiting))

    def wanted(self) -> None:
        """Note that a handler reads the body."""
        if self.phase is Phase.UNREAD:
            self.phase = Phase.BODY
            self._again()

    def answered(self) -> None:
        """Note that the response was sent; the rest of the body, if any, is read and dropped."""
        self._answered = True
        if self.phase is Phase.BEHIND or self._content is None or self._content.is_eof():
            self._next()
        else:
            self.phase = Phase.BODY
            self._again()

    def close(self) -> None:
        """Drop all bytes and callbacks: a reference cycle would stay in memory until the collector runs."""
        self.waiting.clear()
        self._uncount()
        self._hand_on, self._rested, self._content = _dropped, do_nothing, None

    def _next(self) -> None:
        self._uncount()
        self.phase, self._size, self._last, self._content = Phase.HEADER, 0, b"", None
        self._rested()
        self._again()

    def _again(self) -> None:
        if self.waiting:
            data = bytes(self.waiting)
            self.waiting.clear()
            self.arrived(data)

    def _of_header(self, data: bytes) -> bytes:
        if self._size == 0 and data[0] not in b"\r\n" and 0 < data.find(_END) == len(data) - len(_END):
            return self._of_whole(data)
        # RFC 9112 2.2: empty lines may come before the header
        blank = len(data) - len(data.lstrip(b"\r\n")) if self._size == 0 else 0
        before = len(self._last)
        found = (self._last + data).find(_END, blank)
        end = len(data) if found < 0 else found + len(_END) - before
        head = data[:end]
        self._size += len(head) - (blank if blank == len(head) else 0)
        if self._size > self._most:
            raise TooMuch(share=False)
        self._count(len(head))
        self._last = (self._last + head)[-3:] if self._size else b""
        if found >= 0:
            self.phase = Phase.PARSED
        self._hand_on(head)
        return data[end:]

    def _of_whole(self, head: bytes) -> bytes:
        """Pass on a complete header with nothing behind it, the usual case."""
        self._size = len(head)
        if self._size > self._most:
            raise TooMuch(share=False)
        self._count(self._size)
        self.phase = Phase.PARSED
        self._hand_on(head)
        return b""

    def _of_body(self, data: bytes) -> bytes:
        content = self._content
        if content is None or content.is_eof():
            return self._whole(data)
        now = len(data) if self._left is None else self._left
        self._hand_on(data[:now] if now < len(data) else data)
        if self._left is not None:
            self._left -= min(now, len(data))
        return self._whole(data[now:]) if self._left == 0 or content.is_eof() else b""

    def _whole(self, rest: bytes) -> bytes:
        """Note that the body is complete; if its response was already sent, go on to the next request."""
        self.phase = Phase.BEHIND
        if self._answered:
            self._next()
        return rest

    def _count(self, amount: int) -> None:
        if not self._headers.take(self.holder, amount):
            raise TooMuch(share=True)
        self._counted += amount

    def _uncount(self) -> None:
        if self._counted:
            self._headers.give_back(self.holder, self._counted)
            self._counted = 0
