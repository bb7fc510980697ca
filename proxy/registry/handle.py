"""Dispatch each operation to its flow in one `match`; the type checker proves that no operation is missing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import assert_never

from proxy.oci import operation as o
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import CheckApi
from proxy.registry.blob import pull_blob, start_upload
from proxy.registry.delete import delete_blob, delete_manifest
from proxy.registry.list_referrers import list_referrers
from proxy.registry.ports.upstream import Credential, Headers
from proxy.registry.ports_in_use import Ports
from proxy.registry.pull import pull
from proxy.registry.push import push
from proxy.registry.reading.refuse import is_outage, record_outage
from proxy.registry.reading.relay import PREFLIGHT_HEADERS, UPLOAD_HEADERS, relay
from proxy.registry.reading.resolve import CROSS_ORIGIN
from proxy.registry.reading.tag_list import list_tags
from proxy.registry.request import Request, Response


async def handle(op: o.Operation, request: Request, ports: Ports) -> Response:
    """Return the response to one operation. Raises Fault, Unavailable, Corrupt; the web layer makes replies of them."""
    browser = request.header("origin") is not None and not isinstance(op, o.Options)
    learnt = await cross_origin(request, ports) if browser else ()
    try:
        answer = await _answered(op, request, ports)
    except Fault as fault:
        fault.headers = {**dict(learnt), **fault.headers}
        raise
    except Unavailable as silent:
        if is_outage(silent):
            await record_outage(silent, ports)
        raise
    if learnt:
        answer = with_cors(answer, learnt)
    if not request.budget.notes:
        return answer
    notes = [*([answer.warning] if answer.warning else []), *(f"{ports.name}: {note}" for note in request.budget.notes)]
    return replace(answer, warning="; ".join(notes))


async def _answered(op: o.Operation, request: Request, ports: Ports) -> Response:
    match op:
        case o.PullManifest():
            return await pull(op, request, ports)
        case o.PushManifest():
            return await push(op, request, ports)
        case o.DeleteManifest():
            return await delete_manifest(op, request, ports)
        case o.PullBlob():
            return await pull_blob(op, request, ports)
        case o.DeleteBlob():
            return await delete_blob(op, request, ports)
        case o.ListReferrers():
            return await list_referrers(op, request, ports)
        case o.ListTags():
            return await list_tags(op, request, ports)
        case o.StartUpload():
            return await start_upload(op, request, ports)
        case o.UploadChunk() | o.FinishUpload():
            return await relay(op, request, ports, UPLOAD_HEADERS, with_body=True)
        case o.UploadStatus() | o.CancelUpload() | o.CheckApi() | o.ListRepositories():
            return await relay(op, request, ports)
        case o.Options():
            return await relay(op, request, ports, PREFLIGHT_HEADERS)
        case _:
            assert_never(op)


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


def with_cors(answer: Response, learnt: Headers) -> Response:
    """Return the response with upstream's headers for this origin, unless upstream's own are in it already."""
    if not learnt or any(name.startswith(CROSS_ORIGIN) for name, _ in answer.headers):
        return answer
    return replace(answer, headers=(*answer.headers, *learnt))
