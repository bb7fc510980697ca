"""Read small things from upstream for our own use: whole, bounded, hashed here; absence told apart from silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from proxy.flows.asked import Asked
from proxy.flows.house import House
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import INDEXES, MANIFESTS, Descriptor, Manifest, parse
from proxy.oci.operation import Operation, PullBlob, PullManifest
from proxy.oci.reference import Digest, Reference, Repository, is_digest, matches
from proxy.oci.strict_json import most_values
from proxy.ports import Headers, Reply

T = TypeVar("T")
AT_ONCE = 8  # questions to upstream
LARGE_BYTES = 64 * 1024  # a document of more is parsed alone, and so is one of more values
LARGE_VALUES = 2000
LONG_S = 0.005  # what took longer is followed by a rest, however small it was
_REST_S = 0.25  # at most, after a large document, for everybody else
ALL_TYPES: Headers = tuple(("accept", kind) for kind in sorted(MANIFESTS | INDEXES))


REDIRECTS = frozenset({301, 302, 303, 307, 308})


def header(reply: Reply, name: str) -> str | None:
    """Return the first header of this lower-case name."""
    return next((value for key, value in reply.headers if key == name), None)


async def ask(op: Operation, asked: Asked, house: House, headers: Headers = ()) -> Reply:
    """Ask upstream for our own use, as one question of the request's budget. Raises Unavailable, Exhausted."""
    asked.budget.spend(house.limits, lookups=1)
    return await house.registry.perform(op, asked.credential, headers=headers)


async def whole(reply: Reply, limit: int, asked: Asked, house: House) -> bytes:
    """Return the whole body, counted. Raises Fault SIZE_INVALID beyond `limit`, Unavailable, Corrupt, Exhausted."""
    body = await reply.read(limit)
    asked.budget.spend(house.limits, bytes=len(body))
    return body


async def examined(work: Callable[[], T], data: bytes, asked: Asked, house: House) -> T:
    """Return what `work` makes of these bytes, its values and its processor time counted. Raises what it raises.

    It has no await in it, so nobody else is served meanwhile: large documents are taken one at a time, and everybody
    else gets the processor as long again after each, and after whatever took long.
    """
    limits, budget = house.limits, asked.budget
    values = min(most_values(data), limits.json_values)
    budget.spend(limits, values=values)
    large = len(data) > LARGE_BYTES or values > LARGE_VALUES
    async with house.memory.large if large else nullcontext():
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


async def read_manifest(repository: Repository, reference: Reference, asked: Asked, house: House) -> Manifest | None:
    """Return the parsed manifest, or None where upstream says 404. Raises Unavailable, Corrupt, Fault."""
    found = await read_manifest_bytes(repository, reference, asked, house)
    if found is None:
        return None
    limits = replace(house.limits, layers=house.limits.manifest_bytes)  # whoever gathers bounds what is examined
    return await examined(lambda: parse(found[0], found[1] or "", limits), found[0], asked, house)


async def read_manifest_bytes(
    repository: Repository, reference: Reference, asked: Asked, house: House
) -> tuple[bytes, str | None] | None:
    """Return the bytes and their claimed type, or None where upstream says 404. Raises Unavailable, Corrupt, Fault."""
    reply = await ask(PullManifest(repository, reference), asked, house, ALL_TYPES)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            return None
        raise Unavailable(f"upstream answered {reply.status} for {reference}")
    body = await whole(reply, house.limits.manifest_bytes, asked, house)
    if is_digest(reference) and not matches(Digest(reference), body):
        raise Corrupt(f"upstream returned other bytes for {reference}")
    return body, header(reply, "content-type")


async def read_blob(repository: Repository, d: Descriptor, asked: Asked, house: House) -> bytes:
    """Return the bytes of a small blob, hashed here, read once for one request. Raises Unavailable, Corrupt, Fault.

    One that is larger than its descriptor says is not read to its end.
    """
    if d.size > house.limits.signature_bytes:
        raise Fault(
            "SIZE_INVALID", f"{d.digest} has {d.size} bytes, more than a signature may have", reason="too_large"
        )
    name = (repository, d.digest)
    if (known := asked.budget.kept(name)) is not None:
        if len(known) > d.size:
            raise Corrupt(f"{d.digest} has {len(known)} bytes, its descriptor says {d.size}")
        return known
    reply = await ask(PullBlob(repository, d.digest), asked, house)
    if reply.status in REDIRECTS:
        reply = await house.registry.follow(reply)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            raise Corrupt(f"{d.digest} is listed but not there")
        raise Unavailable(f"upstream answered {reply.status} for {d.digest}")
    try:
        data = await whole(reply, d.size, asked, house)
    except Fault as large:
        raise Corrupt(
            f"upstream returned other bytes for {d.digest}: more than the {d.size} of its descriptor"
        ) from large
    if not matches(d.digest, data):
        raise Corrupt(f"upstream returned other bytes for {d.digest}")
    asked.budget.keep(name, data)
    return data
