"""Who refers to a digest: the API, and the fallback tag that may hold more than the API (WIRE 3)."""

from __future__ import annotations

from contextlib import suppress

from proxy.flows.house import House
from proxy.flows.read import ALL_TYPES, header
from proxy.oci.descriptor import parse_descriptor
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX, Descriptor
from proxy.oci.operation import ListReferrers, PullManifest
from proxy.oci.paths import parse as parse_path
from proxy.oci.reference import Digest, Repository, Tag, fallback_tag
from proxy.oci.strict_json import loads
from proxy.ports import Credential


async def referrers_of(
    repository: Repository, subject: Digest, credential: Credential, house: House
) -> tuple[tuple[Descriptor, ...], int]:
    """Return descriptors of everything that refers to this digest, each once, and how many there were beyond the bound.

    Raises Unavailable where a place could not be read: that is never the same as nothing being there.
    """
    api: tuple[Descriptor, ...] = ()
    beyond = 0
    if await house.registry.has_referrers(repository, credential):
        api, beyond = await _from_api(repository, subject, credential, house)
    tagged = await from_fallback_tag(repository, subject, credential, house)
    merged = {d.digest: d for d in (*tagged, *api)}  # the API's descriptors are the corrected ones
    bound = house.limits.referrers
    listed = tuple(merged.values())
    return listed[:bound], beyond + max(len(listed) - bound, 0)


async def from_fallback_tag(
    repository: Repository, subject: Digest, credential: Credential, house: House
) -> tuple[Descriptor, ...]:
    """Return the entries of the fallback index; none where the tag does not exist or holds something else."""
    tag: Tag = fallback_tag(subject)
    reply = await house.registry.perform(PullManifest(repository, tag), credential, headers=ALL_TYPES)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            return ()
        raise Unavailable(f"upstream answered {reply.status} for the referrers tag of {subject}")
    body = await reply.read(house.limits.manifest_bytes)
    try:
        return entries_of(body, house)
    except Corrupt:
        return ()  # an image under this name is somebody's image: it holds no referrers


async def _from_api(
    repository: Repository, subject: Digest, credential: Credential, house: House
) -> tuple[tuple[Descriptor, ...], int]:
    """Follow the pages, bounded in number, never twice to the same one."""
    found: list[Descriptor] = []
    op, seen = ListReferrers(repository, subject), set[ListReferrers]()
    while op not in seen and len(seen) < house.limits.referrer_pages and len(found) <= house.limits.referrers:
        seen.add(op)
        reply = await house.registry.perform(op, credential, headers=(("accept", OCI_INDEX),))
        if reply.status != 200:
            await reply.close()
            raise Unavailable(f"upstream answered {reply.status} for the referrers of {subject}")
        link = header(reply, "link")
        body = await reply.read(house.limits.manifest_bytes)
        found += entries_of(body, house)
        following = next_page(link)
        if following is None or following.repository != repository or following.digest != subject:
            return tuple(found), 0
        op = following
    return tuple(found), 1  # at least one page was not read


def entries_of(body: bytes, house: House) -> tuple[Descriptor, ...]:
    """Return the entries of an index of referrers. One that cannot be read does not hide the others. Raises Corrupt."""
    document = loads(body, house.limits.json_depth)
    listed = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise Corrupt("not an index of referrers")
    found = []
    for entry in listed:
        with suppress(Fault):
            found.append(parse_descriptor(entry, "manifests"))
    return tuple(found)


def next_page(link: str | None) -> ListReferrers | None:
    """Return the next page an RFC 8288 Link names, where it is a page of referrers."""
    if link is None or 'rel="next"' not in link:
        return None
    target = link.partition("<")[2].partition(">")[0]
    if "://" in target:
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    try:
        op = parse_path("GET", path, query)
    except Fault:
        return None
    return op if isinstance(op, ListReferrers) else None
