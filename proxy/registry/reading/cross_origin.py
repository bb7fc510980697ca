"""CORS for web pages: the access upstream grants at `/v2/` also applies to responses made here."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from proxy.oci.faults import Corrupt, Unavailable
from proxy.oci.operation import CheckApi
from proxy.registry.ports.upstream import Credential, Headers
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.resolve import CROSS_ORIGIN
from proxy.registry.request import Request, Response

ORIGIN_LENGTH = 256  # characters; a scheme, a host and a port
LEARNT_LENGTH = 4096  # characters of all headers for one origin


async def cross_origin(request: Request, ports: Ports) -> Headers:
    """Return upstream's CORS headers at `/v2/` for the caller's origin; nothing if the request has no origin.

    Manifests and refusals are made here, and a browser gives a page only responses that name its origin (Fetch
    standard, "CORS protocol"). If upstream does not answer, no header is added.
    """
    origin = request.header("origin")
    if origin is None or len(origin) > ORIGIN_LENGTH:
        return ()
    learnt = ports.cache.origins.get(origin)
    if learnt is None:
        try:
            learnt = await ports.cache.once(("origin", origin), partial(_learn, origin, ports))
        except (Unavailable, Corrupt):
            return ()
        ports.cache.origins[origin] = learnt
    return learnt


async def _learn(origin: str, ports: Ports) -> Headers:
    reply = await ports.registry.perform(CheckApi(), Credential(), headers=(("origin", origin),))
    await reply.close()
    said: dict[str, str] = {}  # repeated headers combined (RFC 9110 5.3)
    for name, value in reply.headers:
        if name == "vary" or name.startswith(CROSS_ORIGIN):
            said[name] = f"{said[name]}, {value}" if name in said else value
    short = sum(len(name) + len(value) for name, value in said.items()) <= LEARNT_LENGTH
    return tuple(said.items()) if short and said.keys() != {"vary"} else ()


def told(answer: Response, learnt: Headers) -> Response:
    """Return the response with upstream's headers for this origin, unless upstream's own are in it already."""
    if not learnt or any(name.startswith(CROSS_ORIGIN) for name, _ in answer.headers):
        return answer
    return replace(answer, headers=(*answer.headers, *learnt))
