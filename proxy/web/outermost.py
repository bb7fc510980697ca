"""The outermost layer of every listener: one id, one response and one log line for each request, always."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from aiohttp import web

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.shares import Shares
from proxy.registry.bodies import Kept
from proxy.registry.request import Response
from proxy.web.call import Call, Network, check, read_call
from proxy.web.replies import Failure, Refused, broken, cut, refuse, relay, send

Inner = Callable[[Call], Awaitable[Response]]
Handler = Callable[[web.BaseRequest], Awaitable[bool]]  # True if the connection stays open
PAGE = 4096  # bytes
ID_LENGTH = 16  # hexadecimal digits


@dataclass(slots=True)
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
    refuse: Callable[[Call, Failure], Refused] = lambda _call, failure: refuse(failure)
    kept: Kept | None = None


def outermost(inner: Inner, edge: Edge) -> Handler:
    """Return the handler of a listener around `inner`. It answers every request once and lets no exception out."""

    kept = edge.kept or Kept(edge.limits)
    forwarded = Shares(edge.limits.connections)
    ids = _ids()

    async def handler(request: web.BaseRequest) -> bool:
        started = monotonic()
        call = read_call(request, next(ids), edge.trusted, edge.limits.body_idle_s, kept)
        done = Done(call)
        busy = call.forwarded and not forwarded.take(call.network)
        for watch in edge.watch:
            watch.began()
        try:
            try:
                answer, phrase = await _answer(inner, request, call, edge.limits, busy), None
            except Exception as error:  # noqa: BLE001  the outermost layer: 500 and a log line, nothing of upstream's
                answer, phrase = _refuse(done, error, edge)
            finally:
                call.leave_room()
            done.status = answer.status
            try:
                return await _send(request, answer, phrase, edge, done)
            except Exception as error:  # noqa: BLE001  as above; the connection is all that is left to end
                done.error = done.error or error
                cut(request)
                await asyncio.sleep(0)
                return False
        finally:
            if call.forwarded and not busy:
                forwarded.give_back(call.network)
            done.seconds = monotonic() - started
            for watch in edge.watch:
                watch.ended(done)
            if done.error is not None:
                _let_go(done.error)
            if call.body.fault is not None:
                _let_go(call.body.fault)

    return handler


def _ids() -> Iterator[str]:
    """Yield unguessable ids, taking one page of random bytes per system call."""
    while True:
        page = os.urandom(PAGE).hex()
        for start in range(0, len(page), ID_LENGTH):
            yield page[start : start + ID_LENGTH]


async def _answer(inner: Inner, request: web.BaseRequest, call: Call, limits: Limits, busy: bool) -> Response:
    if busy:  # on a connection of its own, this caller would have been refused in the same way
        text = "too many requests from your address are being answered; try again in a few seconds"
        raise Fault("TOOMANYREQUESTS", text, headers={"Retry-After": "5"})
    check(call, request, limits)
    call.sound = "Upgrade" not in request.headers  # aiohttp may lose the bytes after an upgrade that we do not make
    return await inner(call)


def _refuse(done: Done, failure: Exception, edge: Edge) -> Refused:
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


async def _send(request: web.BaseRequest, answer: Response, phrase: str | None, edge: Edge, done: Done) -> bool:
    call = done.call
    # A client that was never told to continue may or may not send its body: only closing resolves the ambiguity.
    unasked = call.body.expected and call.body.present and not call.body.continued
    stays = call.sound and not unasked and call.body.fault is None and not edge.leaving() and request.keep_alive
    about = call.request_id, call.path.startswith("/v2")
    if answer.relayed is not None:
        return await relay(request, answer, answer.relayed, phrase, *about, stays=stays, done=done)
    done.sent = await send(request, answer, phrase, *about, stays=stays)
    return stays
