"""What a push sends upstream with the caller's own credentials, and how a push is refused."""

from __future__ import annotations

from proxy.journal import event
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Reference
from proxy.registry.ports.upstream import Headers
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.refuse import refuse
from proxy.registry.reading.relay import REPLY_HEADERS
from proxy.registry.reading.resolve import relayed_error
from proxy.registry.request import Request, Response
from proxy.registry.signing.ready import Push
from proxy.registry.writing.write import exists, is_there, put_manifest, unsure
from proxy.trust.reason import Reason


async def put(this: Push, reference: Reference, request: Request, ports: Ports) -> Response:
    """Send the pushed bytes upstream under this reference, with the caller's own credentials."""
    subject = this.subject
    headers: Headers = ()
    try:
        reply = await put_manifest(this.op.repository, reference, subject.body, subject.media_type, request, ports)
    except Unavailable:  # perhaps only upstream's answer was lost
        if await exists(this.op.repository, reference, request, ports) != subject.digest:
            raise
    else:
        if reply.status >= 400:
            refused = await relayed_error(reply)
            to = (this.op.repository, reference, subject.digest)
            if not unsure(reply.status) or not await is_there(*to, request, ports):
                return refused
        else:
            await reply.close()
            if not 200 <= reply.status < 300:  # a redirect is not an acceptance
                raise Unavailable(f"upstream answered {reply.status} to manifest {reference}")
            headers = reply.headers
    kept = {
        "docker-content-digest": subject.digest,
        "location": f"/v2/{this.op.repository}/manifests/{subject.digest}",
        "content-length": "0",
    }
    if subject.manifest.subject is not None:  # before this response is sent, we list the manifest if upstream does not
        kept["oci-subject"] = subject.manifest.subject.digest
    extra = [(k, v) for k, v in headers if k in REPLY_HEADERS and k not in {*kept, "content-type"}]
    tags = [("oci-tag", tag) for tag in this.op.tags]
    return Response(201, (*kept.items(), *tags, *extra))


async def refused(
    this: Push,
    reason: Reason,
    what: str,
    request: Request,
    ports: Ports,
    kind: event.EventKind = event.EventKind.PUSH_DENIED,
    told: str = "",
) -> Fault:
    """Record that this push is refused; return the Fault for the caller."""
    to, moved = (this.op.repository, this.op.reference), bool(this.moved)
    return await refuse(kind, *to, reason, what, this.caller, request, ports, pushing=True, moved=moved, told=told)
