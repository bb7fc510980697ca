"""Read small objects from upstream for our own use: whole, bounded, hashed here; absence is not silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import INDEXES, MANIFESTS, Descriptor, Manifest, parse
from proxy.oci.operation import Operation, PullBlob, PullManifest
from proxy.oci.reference import Digest, Reference, Repository, is_digest, matches
from proxy.oci.strict_json import most_values
from proxy.registry.ports.upstream import Headers, UpstreamResponse
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request

T = TypeVar("T")
AT_ONCE = 8  # requests to upstream
LARGE_BYTES = 64 * 1024  # larger documents, or those with more values, are parsed one at a time
LARGE_VALUES = 2000
LONG_S = 0.005  # work that took longer is followed by a pause, however small the document was
_REST_S = 0.25  # at most, after a large document, for all other requests
ALL_TYPES: Headers = tuple(("accept", kind) for kind in sorted(MANIFESTS | INDEXES))


REDIRECTS = frozenset({301, 302, 303, 307, 308})


def header(reply: UpstreamResponse, name: str) -> str | None:
    """Return the first header of this lower-case name."""
    return next((value for key, value in reply.headers if key == name), None)


async def ask(op: Operation, request: Request, ports: Ports, headers: Headers = ()) -> UpstreamResponse:
    """Send a request upstream for our own use, counted in the budget. Raises Unavailable, Exhausted."""
    request.budget.spend(ports.limits, lookups=1)
    return await ports.registry.perform(op, request.credential, headers=headers)


async def whole(reply: UpstreamResponse, limit: int, request: Request, ports: Ports) -> bytes:
    """Return the whole body, counted. Raises Fault SIZE_INVALID beyond `limit`, Unavailable, Corrupt, Exhausted."""
    body = await reply.read(limit)
    request.budget.spend(ports.limits, bytes=len(body))
    return body


async def examined(work: Callable[[], T], data: bytes, request: Request, ports: Ports) -> T:
    """Return the result of `work` on these bytes, with values and processor time counted. Raises what it raises.

    `work` has no await, so other requests are blocked meanwhile: large documents are parsed one at a time, and after
    each, and after any slow work, the other requests get the processor for as long again.
    """
    limits, budget = ports.limits, request.budget
    values = min(most_values(data), limits.json_values)
    budget.spend(limits, values=values)
    large = len(data) > LARGE_BYTES or values > LARGE_VALUES
    async with ports.cache.large if large else nullcontext():
        budget.check(limits)
        before = budget.spent["seconds"]
        try:
            return budget.timed(work)
        finally:
            took = budget.spent["seconds"] - before
            if large or took > LONG_S:
                await asyncio.sleep(min(took, _REST_S))


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run these a few at a time and return their results in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await job

    return list(await asyncio.gather(*(one(job) for job in work)))


async def all_ended(*work: Awaitable[Any]) -> list[Any]:
    """Return the results once all have ended, so that nothing goes on when one failed. Raises the first failure."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def read_manifest(
    repository: Repository, reference: Reference, request: Request, ports: Ports
) -> Manifest | None:
    """Return the parsed manifest, or None if upstream answers 404. Raises Unavailable, Corrupt, Fault."""
    found = await read_manifest_bytes(repository, reference, request, ports)
    if found is None:
        return None
    limits = replace(ports.limits, layers=ports.limits.manifest_bytes)  # the caller bounds how many are examined
    return await examined(lambda: parse(found[0], found[1] or "", limits), found[0], request, ports)


async def read_manifest_bytes(
    repository: Repository, reference: Reference, request: Request, ports: Ports
) -> tuple[bytes, str | None] | None:
    """Return the bytes and their claimed type, or None if upstream answers 404. Raises Unavailable, Corrupt, Fault."""
    reply = await ask(PullManifest(repository, reference), request, ports, ALL_TYPES)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            return None
        raise Unavailable(f"upstream answered {reply.status} for {reference}")
    body = await whole(reply, ports.limits.manifest_bytes, request, ports)
    if is_digest(reference) and not matches(Digest(reference), body):
        raise Corrupt(f"upstream returned other bytes for {reference}")
    return body, header(reply, "content-type")


async def read_blob(repository: Repository, d: Descriptor, request: Request, ports: Ports) -> bytes:
    """Return the bytes of a small blob, hashed here, read once per request. Raises Unavailable, Corrupt, Fault.

    A blob that is larger than its descriptor says is not read to the end.
    """
    if d.size > ports.limits.signature_bytes:
        raise Fault(
            "SIZE_INVALID", f"{d.digest} has {d.size} bytes, more than a signature may have", reason="too_large"
        )
    name = (repository, d.digest)
    if (known := request.budget.kept(name)) is not None:
        if len(known) > d.size:
            raise Corrupt(f"{d.digest} has {len(known)} bytes, its descriptor says {d.size}")
        return known
    reply = await ask(PullBlob(repository, d.digest), request, ports)
    if reply.status in REDIRECTS:
        reply = await ports.registry.follow(reply)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            raise Corrupt(f"{d.digest} is listed but not there")
        raise Unavailable(f"upstream answered {reply.status} for {d.digest}")
    try:
        data = await whole(reply, d.size, request, ports)
    except Fault as large:
        raise Corrupt(
            f"upstream returned other bytes for {d.digest}: more than the {d.size} of its descriptor"
        ) from large
    if not matches(d.digest, data):
        raise Corrupt(f"upstream returned other bytes for {d.digest}")
    request.budget.keep(name, data)
    return data
