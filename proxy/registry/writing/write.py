"""Write our small objects upstream: blobs, and tags that others write too (read, change, write, make sure)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.manifest import EMPTY_JSON
from proxy.oci.operation import (
    CancelUpload,
    FinishUpload,
    PullBlob,
    PullManifest,
    PushManifest,
    StartUpload,
    UploadChunk,
)
from proxy.oci.paths import parse as parse_path
from proxy.oci.reference import Digest, Reference, Repository, Tag, digest_of, is_digest
from proxy.registry.ports.upstream import UpstreamResponse
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import ALL_TYPES, all_ended, examined, header, read_manifest_bytes
from proxy.registry.request import Request

TRIES = 4
_NO_SINGLE_POST = frozenset({202, 400, 405, 411, 413, 415, 501})  # 202: a session, as if no bytes had been sent
_NOT_AGAIN = frozenset({400, 403, 405, 409, 412, 422})  # answers of registries when a tag is immutable
_ERROR_BYTES, _SAID = 64 * 1024, 300
_NO_HEAD = frozenset({405, 501})  # gateways that pass only GET
Change = Callable[[bytes | None], bytes | None]
Prepare = Callable[[], Awaitable[object]]
Look = Callable[[bytes | None], Awaitable[bool]]


class NotTaken(Unavailable):
    """Upstream answered 4xx to our manifest: a retry with the same one will fail too."""

    def __init__(self, status: int, what: str, told: Told = Told.NOTHING) -> None:
        super().__init__(what, told=told)
        self.status = status


async def write_blob(repository: Repository, data: bytes, request: Request, ports: Ports) -> Digest:
    """Return the digest of a blob that is upstream now. Raises Unavailable, or Fault UNAUTHORIZED to be relayed.

    Uploads of one blob are serialised: while distribution writes a blob again, manifests that list it are refused (400,
    measured with 2.8). So a blob that every manifest lists is not written again if it exists.
    """
    digest = digest_of(data)
    place = (repository, digest)
    async with ports.cache.lock(("blob", *place)):
        if place not in ports.cache.blobs:
            if data != EMPTY_JSON or not await _has_blob(repository, digest, request, ports):
                await _upload_blob(repository, data, digest, request, ports)
            ports.cache.blobs[place] = True
    return digest


async def _has_blob(repository: Repository, digest: Digest, request: Request, ports: Ports) -> bool:
    reply = await ports.registry.perform(PullBlob(repository, digest, head=True), request.credential)
    await reply.close()
    return reply.status == 200


async def _upload_blob(repository: Repository, data: bytes, digest: Digest, request: Request, ports: Ports) -> None:
    """Upload in one request if upstream can (distribution-spec 1.1 "Single POST"), else in the usual two."""
    started = None
    takes = ports.cache.single_post
    if takes.get(repository, True):
        started = await _post(StartUpload(repository, digest), data, request, ports)
        if started.status == 201:
            takes[repository] = True
            return
        if started.status in _NO_SINGLE_POST:
            takes.setdefault(repository, False)  # a repository that accepted one before accepts one again
    op = await request.opened.pop() if request.opened and started is None else None
    if op is None:
        if started is None or started.status in _NO_SINGLE_POST - {202}:
            started = await _post(StartUpload(repository), b"", request, ports)
        _accepted(started, "an upload")
        op = _upload(header(started, "location"), repository)
    done = await ports.registry.perform(
        FinishUpload(repository, op.session, digest, op.state),
        request.credential,
        headers=(("content-type", "application/octet-stream"),),
        body=data,
        length=len(data),
    )
    await done.close()
    _accepted(done, "a blob")


def open_ahead(repository: Repository, request: Request, ports: Ports) -> None:
    """Open an upload for a blob that this request will have soon, if upstream takes a blob in two requests."""
    if ports.cache.single_post.get(repository) is False:
        request.opened.append(asyncio.create_task(_opened(repository, request, ports)))


async def _opened(repository: Repository, request: Request, ports: Ports) -> UploadChunk | None:
    with suppress(Unavailable, Corrupt, Fault):
        started = await _post(StartUpload(repository), b"", request, ports)
        return _upload(header(started, "location"), repository) if started.status == 202 else None
    return None


async def cancel_opened(request: Request, ports: Ports) -> None:
    """Cancel the uploads that were opened ahead and not needed. Never raises because of upstream."""
    while request.opened:
        op = await request.opened.pop()
        if op is not None:
            with suppress(Unavailable, Corrupt, Fault):
                cancel = CancelUpload(op.repository, op.session, op.state)
                await (await ports.registry.perform(cancel, request.credential)).close()


async def _post(op: StartUpload, data: bytes, request: Request, ports: Ports) -> UpstreamResponse:
    kind = (("content-type", "application/octet-stream"),) if data else ()
    reply = await ports.registry.perform(op, request.credential, headers=kind, body=data, length=len(data))
    await reply.close()
    return reply


def _upload(location: str | None, repository: Repository) -> UploadChunk:
    """Return the upload a Location names. Raises Corrupt if it names anything else."""
    target = location or ""
    if "://" in target:
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    op = parse_path("PATCH", path, query)
    if not isinstance(op, UploadChunk) or op.repository != repository:
        raise Corrupt("upstream's upload Location is for something else")
    return op


def _accepted(reply: UpstreamResponse, what: str) -> None:
    if reply.status == 401:
        challenge = header(reply, "www-authenticate")
        raise Fault(
            "UNAUTHORIZED",
            "upstream wants you to log in again; then push again",
            headers={"WWW-Authenticate": challenge} if challenge else {},
        )
    if reply.status not in (200, 201, 202):
        raise Unavailable(f"upstream answered {reply.status} to {what}")


async def put_manifest(
    repository: Repository, reference: Reference, body: bytes, media_type: str, request: Request, ports: Ports
) -> UpstreamResponse:
    """Send a manifest upstream under this reference and return the reply; the caller reads or closes its body."""
    return await ports.registry.perform(
        PushManifest(repository, reference),
        request.credential,
        headers=(("content-type", media_type),),
        body=body,
        length=len(body),
    )


async def write_manifest(
    repository: Repository,
    reference: Reference,
    body: bytes,
    media_type: str,
    prepare: Prepare,
    request: Request,
    ports: Ports,
) -> bool:
    """Write our manifest; return whether upstream says that it has these bytes there now, by the digest it names.

    `prepare` writes the blobs the manifest lists; it runs again if upstream lost one that we believed to exist. Raises
    Unavailable, or Fault UNAUTHORIZED to be relayed.
    """
    await prepare()
    try:
        reply = await put_manifest(repository, reference, body, media_type, request, ports)
    except Unavailable:  # perhaps only upstream's answer was lost
        if await exists(repository, reference, request, ports) != digest_of(body):
            raise
        return True
    if reply.status in (400, 404):
        await reply.close()
        for place in [p for p in ports.cache.blobs if p[0] == repository]:
            ports.cache.blobs.pop(place, None)
        await prepare()
        reply = await put_manifest(repository, reference, body, media_type, request, ports)
    said = await _said(reply)
    await reply.close()
    if reply.status in _NOT_AGAIN and not is_digest(reference) and await exists(repository, reference, request, ports):
        what = f"upstream does not let {reference} be written again: {reply.status} {said}"
        raise NotTaken(reply.status, what, Told.IMMUTABLE)
    if 400 <= reply.status < 500 and reply.status != 401 and not unsure(reply.status):
        raise NotTaken(reply.status, f"upstream answered {reply.status} to manifest {reference}: {said}")
    _accepted(reply, f"manifest {reference}")
    return reply.status == 201 and header(reply, "docker-content-digest") == digest_of(body)


async def write_tag(
    repository: Repository,
    tag: Tag,
    body: bytes,
    media_type: str,
    prepare: Prepare,
    request: Request,
    ports: Ports,
    *,
    reads_as: Digest | None = None,
) -> bool:
    """Write our manifest under a tag as `write_manifest` does; return whether the tag has it now.

    Upstream's answer says so by the digest of these bytes; if it names none, or another one, the tag is looked at.
    """
    told = await write_manifest(repository, tag, body, media_type, prepare, request, ports)
    ports.cache.forget_tag(repository, tag)  # otherwise verifiers would get the previous list
    there = digest_of(body) if told else await exists(repository, tag, request, ports)
    return there is not None and there in (digest_of(body), reads_as)


async def _said(reply: UpstreamResponse) -> str:
    """Return upstream's text for its refusal, printable and short."""
    if reply.status < 400:
        return ""
    try:
        text = (await reply.read(_ERROR_BYTES)).decode("utf-8", "replace")
    except (Fault, Unavailable, Corrupt):
        return ""
    return "".join(c for c in text if c.isprintable())[:_SAID]


def unsure(status: int) -> bool:
    """True for a status that leaves the outcome open: it may come from a gateway in between."""
    return status >= 500 or status in (408, 429)


async def exists(repository: Repository, reference: Reference, request: Request, ports: Ports) -> str | None:
    """Return the digest upstream claims for this reference, None on 404. Raises Unavailable, or Fault UNAUTHORIZED."""
    op = PullManifest(repository, reference, head=True)
    reply = await ports.registry.perform(op, request.credential, headers=ALL_TYPES)
    await reply.close()
    if reply.status == 404:
        return None
    claimed = None
    if reply.status not in _NO_HEAD:
        _accepted(reply, f"a look at {reference}")
        claimed = header(reply, "docker-content-digest")
    if claimed is None:  # a registry need not send the digest on HEAD
        found = await read_manifest_bytes(repository, reference, request, ports)
        return None if found is None else digest_of(found[0])
    return claimed


async def is_there(
    repository: Repository, reference: Reference, digest: Digest, request: Request, ports: Ports
) -> bool:
    """True if upstream says that it has this digest there; False also if upstream cannot be asked."""
    with suppress(Unavailable, Corrupt, Fault):
        return await exists(repository, reference, request, ports) == digest
    return False


async def change_tag(
    repository: Repository,
    tag: Tag,
    media_type: str | Callable[[bytes], str],
    change: Change,
    prepare: Prepare,
    request: Request,
    ports: Ports,
    *,
    ours: Look | None = None,
    reads_as: Digest | None = None,
    beside: Prepare | None = None,
) -> bytes | None:
    """Apply `change` to the tag's content until it sticks; return the content, None when no write was needed.

    `change` gets the current bytes (None: no tag) and returns new bytes, or None if nothing needs to change; `prepare`
    is awaited before a write, for the blobs the new bytes list. `ours` checks the same bytes first: if it returns
    False, they stay. `reads_as` is the digest that some registries resolve the tag to, whatever was written there.
    `beside` is done once, while the tag is read for the first time. The caller holds the lock of this tag; another
    proxy may write without it, so upstream must say what the tag has now.
    """
    for _ in range(TRIES):
        found, _ = await all_ended(read_manifest_bytes(repository, tag, request, ports), (beside or nothing)())
        beside = None
        old = b"" if found is None else found[0]
        if ours is not None and not await ours(None if found is None else old):
            return None
        new = await examined(partial(change, None if found is None else old), old, request, ports)
        if new is None:
            return None
        kind = media_type if isinstance(media_type, str) else media_type(new)
        if await write_tag(repository, tag, new, kind, prepare, request, ports, reads_as=reads_as):
            return new
    raise Unavailable(f"somebody else keeps writing {tag}")


async def nothing() -> None:
    """Prepare nothing: an index lists manifests that are already upstream."""
