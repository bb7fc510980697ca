"""Pages of other origins: what upstream lets them read, they may read of every answer, also of those made here."""

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
LEARNT_LENGTH = 4096  # characters of all that is said to one origin


async def cross_origin(request: Request, ports: Ports) -> Headers:
    """Return what upstream says at `/v2/` to a page of the caller's origin; nothing where there is none to ask for.

    Manifests and refusals are made here, and a browser hands no page an answer that does not name its origin
    (Fetch standard, "CORS protocol"). Where upstream does not answer there is nothing to say.
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
    said: dict[str, str] = {}  # repeated ones as one (RFC 9110 5.3)
    for name, value in reply.headers:
        if name == "vary" or name.startswith(CROSS_ORIGIN):
            said[name] = f"{said[name]}, {value}" if name in said else value
    short = sum(len(name) + len(value) for name, value in said.items()) <= LEARNT_LENGTH
    return tuple(said.items()) if short and said.keys() != {"vary"} else ()


def told(answer: Response, learnt: Headers) -> Response:
    """Return the answer with what upstream says to this origin, unless upstream said so in this answer itself."""
    if not learnt or any(name.startswith(CROSS_ORIGIN) for name, _ in answer.headers):
        return answer
    return replace(answer, headers=(*answer.headers, *learnt))
