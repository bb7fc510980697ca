"""Hand an operation through as it is: named headers there, named headers back, bytes untouched."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.resolve import relayed_error
from proxy.oci.operation import CheckApi, Operation, PullBlob, StartUpload
from proxy.ports import Credential

RANGE_HEADERS = ("accept", "range", "if-range", "if-none-match")
UPLOAD_HEADERS = ("content-type", "content-range")
# What may come back; everything else upstream says is about its own connection, or none of the client's business.
REPLY_HEADERS = frozenset(
    {
        "accept-ranges",
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
        "warning",
        "www-authenticate",
    }
)


async def relay(
    op: Operation, asked: Asked, house: House, names: Sequence[str] = ("accept",), *, with_body: bool = False
) -> Answer:
    """Return upstream's answer as a stream. Raises Unavailable when there is none."""
    headers = tuple((name, value) for name, value in asked.headers if name in names)
    body = asked.body if with_body else None
    reply = await house.registry.perform(
        op, asked.credential, headers=headers, body=body, length=asked.length if with_body else None
    )
    if isinstance(op, CheckApi) and asked.credential == Credential() and reply.status in (200, 401):
        house.rights.front_door(closed=reply.status == 401)
    if reply.status >= 400:
        if reply.status in (401, 403):
            house.rights.refused(asked.credential)
        # Debian's registry promises the whole blob with a 416 and breaks off: its text is not worth a failure.
        return await relayed_error(reply, head=isinstance(op, PullBlob) and (op.head or reply.status == 416))
    if isinstance(op, StartUpload):
        house.rights.confirm_push(op.repository, asked.credential)
    kept = tuple((name, value) for name, value in reply.headers if name in REPLY_HEADERS)
    return Answer(reply.status, kept, relayed=reply)
