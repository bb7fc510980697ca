"""Every challenge goes out in our own name: the proxy is always the realm that clients log in at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proxy.oci.faults import Fault
from proxy.oci.operation import Operation
from proxy.registry.handle import handle
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request, Response
from proxy.upstream.realm import Realm


async def answer_as_realm(op: Operation, request: Request, ports: Ports, realm: Realm, urls: Sequence[str]) -> Response:
    """Answer one operation. `urls` are our public ones: the realm is at the one that the caller used."""
    try:
        answer = await handle(op, request, ports)
    except Fault as fault:
        challenge = fault.headers.pop("WWW-Authenticate", None)
        if challenge is not None:
            ours = realm.relayed((("www-authenticate", challenge),), _url_for(request, urls))
            fault.headers |= {"WWW-Authenticate": ", ".join(value for _, value in ours)} if ours else {}
        raise
    for name, _ in answer.headers:
        if name == "www-authenticate":  # whatever the status, and wherever it points
            return replace(answer, headers=realm.relayed(answer.headers, _url_for(request, urls)))
    return answer


def _url_for(request: Request, urls: Sequence[str]) -> str:
    """Return the public URL the caller used: some clients refuse a realm on another host than the registry's."""
    host = request.header("host")
    return next((url for url in urls if url.partition("://")[2] == host), urls[0])
