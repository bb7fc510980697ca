"""Pass an operation through unchanged: listed headers in both directions, bytes untouched."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import (
    CheckApi,
    ListReferrers,
    ListRepositories,
    ListTags,
    Operation,
    PullBlob,
    StartUpload,
)
from proxy.registry.ports.upstream import Credential, Headers, UpstreamResponse
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.gate import holder_of
from proxy.registry.reading.resolve import CROSS_ORIGIN, ERROR_BODY, relayed_error
from proxy.registry.request import Request, Response
from proxy.registry.transfers import Held

_STREAMED = (PullBlob, ListTags, ListRepositories, ListReferrers)

CONDITIONS = ("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since")
RANGE_HEADERS = ("accept", "range", *CONDITIONS)
PREFLIGHT_HEADERS = ("origin", "access-control-request-method", "access-control-request-headers")
UPLOAD_HEADERS = ("content-type", "content-range")
# Headers that may come back; all others concern upstream's own connection, or are not for the client.
REPLY_HEADERS = frozenset(
    {
        "accept-ranges",
        "allow",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "docker-content-digest",
        "docker-upload-uuid",
        "etag",
        "last-modified",
        "link",
        "location",
        "oci-chunk-max-length",
        "oci-chunk-min-length",
        "oci-filters-applied",
        "oci-subject",
        "oci-tag",
        "range",
        "retry-after",
        "vary",
        "warning",
        "www-authenticate",
    }
)


async def relay(
    op: Operation, request: Request, ports: Ports, names: Sequence[str] = ("accept",), *, with_body: bool = False
) -> Response:
    """Return upstream's answer, as a stream if it may be long. Raises Unavailable when there is none.

    A body that a caller reads or writes piece by piece is a transfer and takes a transfer slot; other answers are sent
    from memory, so that a slow reader holds no upstream connection. Raises Fault TOOMANYREQUESTS.
    """
    headers = tuple((name, value) for name, value in request.headers if name in names)
    body = request.body if with_body else None
    streams = isinstance(op, _STREAMED) and not getattr(op, "head", False)
    if body is None and not streams:
        return await _whole(await ports.registry.perform(op, request.credential, headers=headers), op, request, ports)
    transfer = await ports.cache.transfers.begin(holder_of(request, ports), request.cut)
    try:
        reply = await ports.registry.perform(
            op,
            request.credential,
            headers=headers,
            body=None if body is None else transfer.watched(body),
            length=request.length if with_body else None,
            transfer=True,
        )
        answer = await (_stream if streams else _whole)(Held(reply, transfer), op, request, ports)
    except BaseException:
        transfer.end()
        raise
    if answer.relayed is None:
        transfer.end()
    return answer


async def _stream(reply: UpstreamResponse, op: Operation, request: Request, ports: Ports) -> Response:
    if reply.status >= 400:
        return await _refused(reply, op, request, ports)
    return Response(reply.status, _kept(reply), relayed=reply)


async def _whole(reply: UpstreamResponse, op: Operation, request: Request, ports: Ports) -> Response:
    if isinstance(op, CheckApi) and request.credential == Credential() and reply.status in (200, 401):
        ports.rights.front_door(closed=reply.status == 401)
    if reply.status >= 400:
        return await _refused(reply, op, request, ports)
    if isinstance(op, StartUpload):
        ports.rights.confirm_push(op.repository, request.credential)
    body = b"" if getattr(op, "head", False) else await reply.read(ERROR_BODY)
    await reply.close()
    return Response(reply.status, _kept(reply), body)


async def _refused(reply: UpstreamResponse, op: Operation, request: Request, ports: Ports) -> Response:
    if reply.status in (401, 403):
        ports.rights.refused(request.credential)
    head = isinstance(op, PullBlob) and op.head
    try:
        return await relayed_error(reply, head=head)
    except (Unavailable, Fault):
        # With these, distribution announces the whole blob and breaks off: an incomplete error text is not a failure.
        if not isinstance(op, PullBlob) or reply.status not in (412, 416):
            raise
        return await relayed_error(reply, head=True)


def _kept(reply: UpstreamResponse) -> Headers:
    return tuple(
        (name, value) for name, value in reply.headers if name in REPLY_HEADERS or name.startswith(CROSS_ORIGIN)
    )
