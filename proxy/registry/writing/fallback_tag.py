"""The fallback tag `sha256-<hex>`: lists referrers while upstream has no API for them (spec 1.1)."""

from __future__ import annotations

from contextlib import nullcontext

from proxy.formats import carrier
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX, parse
from proxy.oci.not_found import ERROR_BYTES, NotFound, not_found
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository, Tag, digest_of, fallback_tag
from proxy.registry.ports.upstream import ReferrersApi
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import ALL_TYPES, ask, together
from proxy.registry.reading.referrers import entries_of, lists_referrers
from proxy.registry.request import Request
from proxy.registry.writing.write import Change, Look, NotTaken, Prepare, change_tag, nothing

_LACKS = frozenset({400, 404, 422})  # answers of registries to a list of something they do not have


class TooMuch(Exception):
    """The content for a tag would exceed this limit."""


def bounded(others: int, limit: int, name: str, body: bytes, ports: Ports) -> None:
    """Raise TooMuch beyond the limit, of which `own_layers` are reserved for our entries."""
    if others > max(limit - ports.limits.own_layers, 0):
        raise TooMuch(name)
    if len(body) > ports.limits.manifest_bytes:
        raise TooMuch("manifest_bytes")


async def list_referrer(
    repository: Repository,
    subject: Digest,
    body: bytes,
    request: Request,
    ports: Ports,
    *,
    locked: bool = False,
    write: Prepare = nothing,
) -> None:
    """List the referrer upstream: by its API, or in the fallback tag if we do not know of an API.

    Foreign content under that tag, if it is not such a list, is left alone; our API lists the referrer anyway.
    `locked`: the referrer is ours, and the caller holds the lock. Otherwise raises TooMuch if the list is full. `write`
    puts the referrer itself upstream, before it is listed.
    """
    if await ports.registry.referrers_api(repository, subject, request.credential) is ReferrersApi.HAS:
        await write()
        return
    manifest = parse(body, "", ports.limits)
    entry = carrier.referrer(manifest, digest_of(body), len(body))

    def change(old: bytes | None) -> bytes | None:
        new = carrier.fallback_index(old, [entry])
        if new == old:
            return None
        if not locked:
            bounded(len(entries_of(new, ports) or ()), ports.limits.referrers, "referrers", new, ports)
        return new

    async with nullcontext() if locked else ports.cache.lock(("attach", repository, subject)):
        await change_list(repository, subject, change, request, ports, beside=write)


async def unlist_referrer(
    repository: Repository, subject: Digest, digest: Digest, request: Request, ports: Ports
) -> None:
    """Remove a deleted referrer from the fallback tag's list."""
    if await ports.registry.referrers_api(repository, subject, request.credential) is ReferrersApi.HAS:
        return

    def change(old: bytes | None) -> bytes | None:
        if old is None:
            return None
        new = carrier.fallback_index(old, (), {digest})
        return None if new == old else new

    async with ports.cache.lock(("attach", repository, subject)):
        await change_list(repository, subject, change, request, ports)


async def change_list(
    repository: Repository,
    subject: Digest,
    change: Change,
    request: Request,
    ports: Ports,
    *,
    prepare: Prepare = nothing,
    look: Look | None = None,
    beside: Prepare = nothing,
) -> bytes | None:
    """Apply `change` to the list under the fallback tag as `change_tag` does. The caller holds the attach lock.

    `look` decides whether the current content may be overwritten; without it, only a list of referrers may. If upstream
    refuses the list because it lists a manifest that is gone, the missing entries are left out, once.
    """
    tag = fallback_tag(subject)
    tried: list[bytes] = []
    gone: set[Digest] = set()

    async def ours(body: bytes | None) -> bool:
        free = body is None or await lists_referrers(repository, subject, body, request, ports)
        note(repository, tag, free, ports)
        return free

    def changed(old: bytes | None) -> bytes | None:
        new = change(old)
        if new is not None and gone:
            new = carrier.fallback_index(new, (), gone)
        if new is not None:
            tried[:] = [new]
        return None if new == old else new

    async def write() -> bytes | None:
        return await change_tag(
            repository,
            tag,
            OCI_INDEX,
            changed,
            prepare,
            request,
            ports,
            ours=look or ours,
            reads_as=subject,
            beside=beside,
        )

    try:
        return await write()
    except NotTaken as refused:
        gone |= await _gone(repository, tried, request, ports) if refused.status in _LACKS else set()
        if not gone:
            raise
    return await write()


def note(repository: Repository, tag: Tag, free: bool, ports: Ports) -> None:
    """Remember, for status, that a user keeps something else under a tag that our list belongs to."""
    if free:
        ports.cache.kept_by_users.pop((repository, tag), None)
    else:
        ports.cache.kept_by_users.setdefault((repository, tag), ports.clock.now())


async def _gone(repository: Repository, lists: list[bytes], request: Request, ports: Ports) -> set[Digest]:
    """Return the entries of this list that upstream says it does not have. Entries without an answer stay."""
    entries = [entry.digest for body in lists for entry in entries_of(body, ports) or ()]
    missing = await together([_is_gone(repository, digest, request, ports) for digest in entries])
    return {digest for digest, gone in zip(entries, missing, strict=True) if gone}


async def _is_gone(repository: Repository, digest: Digest, request: Request, ports: Ports) -> bool:
    """True for a 404 about this manifest; a 404 without content, or about the repository, is no answer."""
    try:
        reply = await ask(PullManifest(repository, digest), request, ports, ALL_TYPES)
        if reply.status != 404:
            await reply.close()
            return False
        return not_found(await reply.read(ERROR_BYTES)) is NotFound.THIS
    except (Unavailable, Corrupt, Fault):
        return False
