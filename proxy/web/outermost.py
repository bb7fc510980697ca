"""The outermost layer of every listener: one id, one response and one log line for each request, always."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

from aiohttp import web

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.shares import Shares
from proxy.registry.bodies import Kept
from proxy.registry.request import Response
from proxy.web.call import Call, Network, check, read_call
from proxy.web.replies import Failure, Ready, broken, cut, refuse, send

Inner = Callable[[Call], Awaitable[Response]]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
T = TypeVar("T")
PAGE = 4096  # bytes
ID_LENGTH = 16  # hexadecimal digits


@dataclass
class Done:
    """One request for logs and metrics. `error` is the unexpected exception that ended it; `sent` counts body bytes."""

    call: Call
    status: int = 0
    sent: int = 0
    seconds: float = 0.0
    error: Exception | None = None


class Watch(Protocol):
    """A part notified of every request: metrics or the access log."""

    def began(self) -> None:
        """A request began."""

    def ended(self, done: Done) -> None:
        """A request ended; called exactly once after `began`."""


@dataclass(frozen=True)
class Edge:
    """The parameters of the outermost layer: limits, trusted proxies, watchers, and whether the server is leaving.

    `kept` is the memory for bodies that this listener shares with others; None: the listener has its own.
    """

    limits: Limits
    watch: Sequence[Watch] = ()
    trusted: Sequence[Network] = ()
    leaving: Callable[[], bool] = bool  # False until a drain begins
    refuse: Callable[[Call, Failure], Ready] = lambda _call, failure: refuse(failure)
    kept: Kept | None = None


def outermost(inner: Inner, edge: Edge) -> Handler:
    """Return the aiohttp handler around `inner`. It answers every request once and lets no exception out."""

    kept = edge.kept or Kept(edge.limits)
    forwarded = Shares(edge.limits.connections)
    ids = _ids()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        started = monotonic()
        done = Done(read_call(request, next(ids), edge.trusted, edge.limits.body_idle_s, kept))
        call = done.call
        busy = call.forwarded and not forwarded.take(call.network)
        for watch in edge.watch:
            watch.began()
        try:
            with done.call.room:
                outcome = await _caught(_answer(inner, request, done.call, edge.limits, busy))
            ready = Ready(outcome) if isinstance(outcome, Response) else _refuse(done, outcome, edge)
            done.status = ready.answer.status
            written = await _caught(_send(request, ready, edge, done))
            if isinstance(written, web.StreamResponse):
                return written
            done.error = done.error or written
            cut(request)
            await asyncio.sleep(0)
            return web.Response()  # never sent, because the connection is closed; aiohttp requires a return value
        finally:
            if call.forwarded and not busy:
                forwarded.give_back(call.network)
            done.seconds = monotonic() - started
            for watch in edge.watch:
                watch.ended(done)
            for failure in (done.error, call.body.fault):
                _let_go(failure)

    return handler


def _ids() -> Iterator[str]:
    """Yield unguessable ids, taking one page of random bytes per system call."""
    while True:
        page = os.urandom(PAGE).hex()
        for start in range(0, len(page), ID_LENGTH):
            yield page[start : start + ID_LENGTH]


async def _caught(work: Awaitable[T]) -> T | Exception:
    """Return the work's result or the exception it raised: every exception ends here."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  the outermost layer: answered with 500 and logged, nothing of upstream's
        return error


async def _answer(inner: Inner, request: web.BaseRequest, call: Call, limits: Limits, busy: bool) -> Response:
    if busy:  # on a connection of its own, this caller would have been refused in the same way
        text = "too many requests from your address are being answered; try again in a few seconds"
        raise Fault("TOOMANYREQUESTS", text, headers={"Retry-After": "5"})
    check(call, request, limits)
    call.sound = "Upgrade" not in request.headers  # aiohttp may lose the bytes after an upgrade that we do not make
    return await inner(call)


def _refuse(done: Done, failure: Exception, edge: Edge) -> Ready:
    """Turn a failure into a response; a client's silence takes precedence over the errors it caused."""
    known = done.call.body.fault or failure
    if not isinstance(known, Fault | Unavailable | Corrupt):
        done.error = known
        return edge.refuse(done.call, broken(done.call.request_id))
    _let_go(known)
    done.call.error = str(known)
    done.call.reason = (known.reason or "") if isinstance(known, Fault) else ""
    return edge.refuse(done.call, known)


def _let_go(error: BaseException | None) -> None:
    """Drop the traceback and causes: their frames hold the body, and such a cycle would wait for the collector."""
    while error is not None:
        error.__traceback__ = None
        below = error.__cause__ or error.__context__
        error.__context__ = error.__cause__ = None
        error = below


async def _send(request: web.BaseRequest, ready: Ready, edge: Edge, done: Done) -> web.StreamResponse:
    call = done.call

    def count(size: int) -> None:
        done.sent += size

    # A client that was never told to continue may or may not send its body: only closing resolves the ambiguity.
    unasked = call.body.expected and call.body.present and not call.body.continued
    return await send(
        request,
        ready,
        request_id=call.request_id,
        registry=call.path.startswith("/v2"),
        close=unasked or not call.sound or call.body.fault is not None or edge.leaving(),
        count=count,
    )
