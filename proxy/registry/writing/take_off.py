"""Remove our signatures from the lists that carry them: others stay, and a list that becomes empty is deleted."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from proxy.formats import carrier
from proxy.formats.table import claimed_by
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_MANIFEST, parse
from proxy.oci.operation import DeleteManifest
from proxy.oci.reference import Digest, Reference, Repository, Tag, digest_of, fallback_tag, signature_tag
from proxy.oci.strict_json import loads
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import examined, read_manifest_bytes
from proxy.registry.request import Request
from proxy.registry.writing.fallback_tag import change_list
from proxy.registry.writing.write import TRIES, exists, nothing, unsure, write_tag

GONE = b""  # the rest of a list that held only our entries


async def off_sig(
    repository: Repository, subject: Digest, ours: Collection[carrier.Mark], request: Request, ports: Ports
) -> bytes | None:
    """Remove these layers from the `.sig`; return its new content, None if nothing had to change.

    Content that is not a list of signatures is left alone. The caller holds the lock of the list. Raises Unavailable,
    Corrupt, Fault.
    """

    def rest(body: bytes, kind: str) -> bytes:
        try:
            layers = parse(body, kind, ports.limits).layers
        except (Fault, Corrupt):
            return body
        if not all(claimed_by(layer.media_type) for layer in layers):
            return body
        if not {carrier.mark(layer) for layer in layers} & set(ours):
            return body
        return carrier.sig_manifest(body, (), ours) or GONE

    tag = signature_tag(subject)
    for _ in range(TRIES):
        found = await read_manifest_bytes(repository, tag, request, ports)
        if found is None:
            return None
        left = await examined(partial(rest, found[0], found[1] or ""), found[0], request, ports)
        if left == found[0]:
            return None
        if left == GONE:
            await erase(repository, tag, digest_of(found[0]), request, ports)
            return GONE
        if await write_tag(repository, tag, left, OCI_MANIFEST, nothing, request, ports):
            return left
    raise Unavailable(f"somebody else keeps writing {tag}")


async def off_fallback(
    repository: Repository, subject: Digest, ours: Collection[Digest], request: Request, ports: Ports
) -> bytes | None:
    """Remove these entries from the fallback tag; return its new content, None if nothing had to change.

    Foreign content that is not a list of referrers is left alone. Otherwise as `off_sig`.
    """
    found = await read_manifest_bytes(repository, fallback_tag(subject), request, ports)
    if found is None:
        return None
    listed = await examined(partial(_digests, found[0], ports), found[0], request, ports)
    if not set(ours) & set(listed):
        return None
    if set(listed) <= set(ours):
        await erase(repository, fallback_tag(subject), digest_of(found[0]), request, ports)
        return GONE

    def change(old: bytes | None) -> bytes | None:
        return None if old is None else carrier.fallback_index(old, (), ours)

    return await change_list(repository, subject, change, request, ports)


def _digests(body: bytes, ports: Ports) -> list[str]:
    """Return the digests this index lists, [] if it is not an index."""
    try:
        document = loads(body, ports.limits.json_depth, ports.limits.json_values)
    except Corrupt:
        return []
    listed = document.get("manifests") if isinstance(document, dict) else None
    return [str(each.get("digest")) for each in listed or () if isinstance(each, dict)]


async def erase(repository: Repository, tag: Tag | None, digest: Digest, request: Request, ports: Ports) -> bool:
    """Delete the tag and our manifest under it. Raises Unavailable, Fault.

    Some registries delete no tags, others no manifest that has one: so first the tag, then the manifest, and the state
    afterwards counts. False if the manifest stays because a user's own tag points at it.
    """
    pinned = bool(await ports.tags.above(repository, digest, 0, 1))
    references: list[Reference] = [*([tag] if tag else []), *([] if pinned else [digest])]
    said = [await _deleted(repository, each, request, ports) for each in references]
    ports.cache.forget((repository, digest))
    if tag is not None:
        ports.cache.forget_tag(repository, tag)
    if tag is not None and await exists(repository, tag, request, ports) == digest:
        raise Unavailable(f"upstream answered {' and '.join(map(str, said))} to the deletion of {tag}")
    if tag is None and not pinned and await _stayed(said[0], repository, digest, request, ports):
        raise Unavailable(f"upstream answered {said[0]} to the deletion of {digest}")
    if not pinned:
        await ports.facts.forget(repository, digest)
    return not pinned


async def _stayed(status: int, repository: Repository, digest: Digest, request: Request, ports: Ports) -> bool:
    if unsure(status):
        return await exists(repository, digest, request, ports) is not None
    return status >= 300 and status != 404


async def _deleted(repository: Repository, reference: Reference, request: Request, ports: Ports) -> int:
    reply = await ports.registry.perform(DeleteManifest(repository, reference), request.credential)
    await reply.close()
    return reply.status
