"""The admin listener: answers probes and Prometheus. It reveals nothing about images or callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.oci.faults import Fault
from proxy.registry.request import Response
from proxy.web.call import Call
from proxy.web.metrics import CONTENT_TYPE
from proxy.web.outermost import Inner

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
