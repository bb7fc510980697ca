"""The handlers of the listeners: `/v2/...` for registry clients, `/-/...` for people; probes on the admin listener."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import (
    FinishUpload,
    ListReferrers,
    Operation,
    PullBlob,
    PullManifest,
    PushManifest,
    StartUpload,
    UploadChunk,
)
from proxy.oci.paths import parse
from proxy.registry.request import Request, Response
from proxy.web.call import Call
from proxy.web.metrics import CONTENT_TYPE
from proxy.web.outermost import Inner

Handle = Callable[[Operation, Request], Awaitable[Response]]

_READS = (PullManifest, PullBlob, ListReferrers)  # judged; the result is useless once the client has gone
_WITH_BODY = (PushManifest, StartUpload, UploadChunk, FinishUpload)


def public_app(handle: Handle, pages: Mapping[str, Inner]) -> Inner:
    """Return the one handler of the public listener.

    `pages` maps the word after `/-/` (`token`, `d`, `i`, `help`, empty for the front page) to its handler; `*` handles
    every other address.
    """

    async def answer(call: Call) -> Response:
        if call.path == "/v2" or call.path.startswith("/v2/"):
            return await _registry(handle, call)
        word = page_word(call.path)
        if word is None or word not in pages or word == "*":
            if "*" in pages:
                return await pages["*"](call)
            raise nothing_here()
        call.kind = f"page:{word or 'front'}"
        return await pages[word](call)

    return answer


async def _registry(handle: Handle, call: Call) -> Response:
    operation = parse(call.method, call.path, call.query)
    call.kind = type(operation).__name__
    if isinstance(operation, _WITH_BODY) and call.body.present:
        _identity(call)
    request = call.as_request()
    if not isinstance(operation, _READS):  # a write that has begun runs to its end
        return await handle(operation, request)
    request.budget.while_not(call.gone)
    try:
        return await handle(operation, request)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not call.gone() or task is None or task.cancelling():
            raise
        raise Unavailable("the client has gone, and nobody else waits for this") from None


def _identity(call: Call) -> None:
    """Refuse compressed request bodies: judging and hashing need the bytes that upstream would store."""
    codings = [value.strip().lower() for name, value in call.headers if name == "content-encoding"]
    if any(coding not in {"", "identity"} for coding in codings):
        text = "a compressed request body is not accepted: send it without Content-Encoding"
        raise Fault("UNSUPPORTED", text, status=415)


def nothing_here() -> Fault:
    """Return the refusal for an address without a handler."""
    return Fault("NAME_UNKNOWN", "there is nothing at this address; the registry API is under /v2/", status=404)


def page_word(path: str) -> str | None:
    """Return the word after `/-/` that selects the page, or None outside of `/-/`; `/` is the front page."""
    if path in {"/", "/-", "/-/"}:
        return ""
    return path[3:].partition("/")[0] if path.startswith("/-/") else None


_TEXT = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))


def admin_app(metrics: Callable[[], bytes], obstacle: Callable[[], str | None]) -> Inner:
    """Return the handler of the admin listener; `obstacle` returns why no traffic should be routed here, or None."""

    def live() -> Response:
        return Response(200, _TEXT, b"alive\n")

    def ready() -> Response:
        why = obstacle()
        return Response(200, _TEXT, b"ready\n") if why is None else Response(503, _TEXT, f"not ready: {why}\n".encode())

    def scrape() -> Response:
        return Response(200, (("content-type", CONTENT_TYPE), ("cache-control", "no-store")), metrics())

    routes: Mapping[str, Callable[[], Response]] = {"/livez": live, "/readyz": ready, "/metrics": scrape}

    async def answer(call: Call) -> Response:
        route = routes.get(call.path)
        if route is None:
            raise Fault("NAME_UNKNOWN", f"here are only {', '.join(routes)}", status=404)
        if call.method not in {"GET", "HEAD"}:
            raise Fault("UNSUPPORTED", "only GET and HEAD are answered here", headers={"allow": "GET, HEAD"})
        return route()

    return answer
