"""The Unix socket in the state directory: the connection from commands on this host to the running server.

Access to the socket (mode 0600) identifies the operator; there is no other authentication.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from proxy.oci.faults import Corrupt, Fault
from proxy.oci.strict_json import loads
from proxy.registry.request import Response
from proxy.web.call import Call, small_body
from proxy.web.outermost import Inner

BODY_BYTES = 64 * 1024
JSON_DEPTH = 4
Arguments = Mapping[str, str]
Command = Callable[[Arguments], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Route:
    """One command: its method, its path, its required and optional arguments, and its function."""

    method: str
    path: str
    run: Command
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Commands:
    """The functions of the commands: text arguments in, JSON values out. Raises Fault, Unavailable, Corrupt."""

    verify: Command
    why: Command
    sign: Command
    status: Command
    would_block: Command
    reload: Command


def routes(commands: Commands) -> tuple[Route, ...]:
    """Return the table of the local API."""
    return (
        Route("POST", "/v1/verify", commands.verify, needs=("ref",)),
        Route("GET", "/v1/why", commands.why, needs=("q",)),
        Route("POST", "/v1/sign", commands.sign, needs=("ref", "reason")),
        Route("GET", "/v1/status", commands.status),
        Route("GET", "/v1/report/would-block", commands.would_block, takes=("since",)),
        Route("POST", "/v1/reload", commands.reload),
    )


def local_app(commands: Commands) -> Inner:
    """Return the handler of the Unix socket."""
    table = routes(commands)

    async def answer(call: Call) -> Response:
        there = [route for route in table if route.path == call.path]
        if not there:
            raise Fault("NAME_UNKNOWN", f"no command {call.path!a} here", status=404)
        route = next((route for route in there if route.method == call.method), None)
        if route is None:
            raise Fault("UNSUPPORTED", f"{call.path} takes {there[0].method}", headers={"allow": there[0].method})
        call.kind = route.path
        given = _query(call) if route.method == "GET" else await _body(call)
        result = await route.run(_arguments(route, given))
        return Response(200, (("content-type", "application/json"),), json.dumps(result).encode())

    return answer


def _query(call: Call) -> Mapping[str, object]:
    return dict(parse_qsl(call.query, keep_blank_values=True, max_num_fields=20))


async def _body(call: Call) -> Mapping[str, object]:
    body = await small_body(call, BODY_BYTES)
    try:
        value = loads(body, JSON_DEPTH) if body else {}
    except Corrupt as error:
        raise Fault("UNSUPPORTED", f"arguments not understood: {error.what}", status=400) from error
    if not isinstance(value, dict):
        raise Fault("UNSUPPORTED", "arguments are one JSON object", status=400)
    return value


def _arguments(route: Route, given: Mapping[str, object]) -> Arguments:
    known = {name: given[name] for name in (*route.needs, *route.takes) if name in given}
    missing = [name for name in route.needs if not known.get(name)]
    wrong = [name for name, value in known.items() if not isinstance(value, str)]
    if missing or wrong:
        raise Fault("UNSUPPORTED", f"{route.path} needs text in: {', '.join(missing or wrong)}", status=400)
    return {name: str(value) for name, value in known.items()}
