"""Read small things from upstream for our own use: whole, bounded, hashed here; absence told apart from silence."""

from __future__ import annotations

from dataclasses import replace

from proxy.flows.asked import Asked
from proxy.flows.house import House
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import INDEXES, MANIFESTS, Descriptor, Manifest, parse
from proxy.oci.operation import PullBlob, PullManifest
from proxy.oci.reference import Digest, Reference, Repository, is_digest, matches
from proxy.ports import Headers, Reply

ALL_TYPES: Headers = tuple(("accept", kind) for kind in sorted(MANIFESTS | INDEXES))


REDIRECTS = frozenset({301, 302, 303, 307, 308})


def header(reply: Reply, name: str) -> str | None:
    """Return the first header of this lower-case name."""
    return next((value for key, value in reply.headers if key == name), None)


async def read_manifest(repository: Repository, reference: Reference, asked: Asked, house: House) -> Manifest | None:
    """Return the parsed manifest, or None where upstream says 404. Raises Unavailable, Corrupt, Fault."""
    found = await read_manifest_bytes(repository, reference, asked, house)
    limits = replace(house.limits, layers=house.limits.manifest_bytes)  # whoever gathers bounds what is examined
    return None if found is None else parse(found[0], found[1] or "", limits)


async def read_manifest_bytes(
    repository: Repository, reference: Reference, asked: Asked, house: House
) -> tuple[bytes, str | None] | None:
    """Return the bytes and their claimed type, or None where upstream says 404. Raises Unavailable, Corrupt, Fault."""
    reply = await house.registry.perform(PullManifest(repository, reference), asked.credential, headers=ALL_TYPES)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            return None
        raise Unavailable(f"upstream answered {reply.status} for {reference}")
    body = await reply.read(house.limits.manifest_bytes)
    if is_digest(reference) and not matches(Digest(reference), body):
        raise Corrupt(f"upstream returned other bytes for {reference}")
    return body, header(reply, "content-type")


async def read_blob(repository: Repository, d: Descriptor, asked: Asked, house: House) -> bytes:
    """Return the bytes of a small blob, hashed here. Raises Unavailable, Corrupt, Fault."""
    if d.size > house.limits.signature_bytes:
        raise Fault(
            "SIZE_INVALID", f"{d.digest} has {d.size} bytes, more than a signature may have", reason="too_large"
        )
    reply = await house.registry.perform(PullBlob(repository, d.digest), asked.credential)
    if reply.status in REDIRECTS:
        reply = await house.registry.follow(reply)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            raise Corrupt(f"{d.digest} is listed but not there")
        raise Unavailable(f"upstream answered {reply.status} for {d.digest}")
    data = await reply.read(house.limits.signature_bytes)
    if not matches(d.digest, data):
        raise Corrupt(f"upstream returned other bytes for {d.digest}")
    return data
