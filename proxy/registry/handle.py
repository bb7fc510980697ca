"""Dispatch each operation to its flow in one `match`; the type checker proves that no operation is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from proxy.oci import operation as o
from proxy.oci.faults import Fault, Unavailable
from proxy.registry.blob import pull_blob, start_upload
from proxy.registry.delete import delete_blob, delete_manifest
from proxy.registry.list_referrers import list_referrers
from proxy.registry.outage import is_outage, record_outage
from proxy.registry.ports_in_use import Ports
from proxy.registry.pull import pull
from proxy.registry.push import push
from proxy.registry.reading.cross_origin import cross_origin, told
from proxy.registry.reading.relay import PREFLIGHT_HEADERS, UPLOAD_HEADERS, relay
from proxy.registry.reading.tag_list import list_tags
from proxy.registry.request import Request, Response


async def handle(op: o.Operation, request: Request, ports: Ports) -> Response:
    """Return the response to one operation. Raises Fault, Unavailable, Corrupt; the web layer makes replies of them."""
    learnt = () if isinstance(op, o.Options) else await cross_origin(request, ports)
    try:
        answer = told(await _answered(op, request, ports), learnt)
    except Fault as fault:
        fault.headers = {**dict(learnt), **fault.headers}
        raise
    except Unavailable as silent:
        if is_outage(silent):
            await record_outage(silent, ports)
        raise
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
