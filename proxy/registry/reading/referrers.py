"""The referrers of a digest: from the API, and from the fallback tag, which may hold more than the API (WIRE 3)."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from proxy.oci.descriptor import parse_descriptor
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX, Descriptor
from proxy.oci.operation import ListReferrers, PullManifest
from proxy.oci.paths import parse as parse_path
from proxy.oci.reference import Digest, Repository, Tag, fallback_tag, matches
from proxy.oci.strict_json import loads
from proxy.registry.ports.upstream import ReferrersApi
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import ALL_TYPES, ask, examined, header, read_manifest, whole
from proxy.registry.request import Request


@dataclass(frozen=True)
class Listed:
    """Descriptors of all referrers of a digest, each once.

    `beyond` is how many there were beyond the bound. `silent` is why a source could not be read: never the same as an
    empty source.
    """

    descriptors: tuple[Descriptor, ...]
    beyond: int = 0
    silent: Unavailable | Corrupt | None = None


async def referrers_of(repository: Repository, subject: Digest, request: Request, ports: Ports) -> Listed:
    """Return what the API and the fallback tag list. A source that cannot be read hides no entry of the other."""
    api = await _or_silence(_from_api(repository, subject, request, ports))
    tagged = await _or_silence(_from_tag(repository, subject, request, ports))
    # the API's descriptors are the corrected ones
    merged = {d.digest: d for d in (*tagged.descriptors, *api.descriptors)}
    bound = ports.limits.referrers
    listed = tuple(merged.values())
    beyond = api.beyond + tagged.beyond + max(len(listed) - bound, 0)
    return Listed(listed[:bound], beyond, api.silent or tagged.silent)


async def _or_silence(look: Awaitable[Listed]) -> Listed:
    try:
        return await look
    except (Unavailable, Corrupt) as why:
        return Listed((), 0, why)
    except Fault as large:
        return Listed((), 1, Unavailable(large.message))


async def _from_tag(repository: Repository, subject: Digest, request: Request, ports: Ports) -> Listed:
    return Listed(await from_fallback_tag(repository, subject, request, ports) or ())


async def from_fallback_tag(
    repository: Repository, subject: Digest, request: Request, ports: Ports
) -> tuple[Descriptor, ...] | None:
    """Return the entries of the fallback index, () without the tag; None if the tag holds something else.

    Raises Unavailable, Corrupt (the content is not a manifest of any kind), Fault (it is too large).
    """
    tag: Tag = fallback_tag(subject)
    reply = await ask(PullManifest(repository, tag), request, ports, ALL_TYPES)
    if reply.status != 200:
        await reply.close()
        if reply.status == 404:
            return ()
        raise Unavailable(f"upstream answered {reply.status} for the referrers tag of {subject}")
    body = await whole(reply, ports.limits.manifest_bytes, request, ports)
    if matches(subject, body):
        return None  # some registries resolve the tag to the digest itself: its children are not its referrers
    return await examined(lambda: entries_of(body, ports), body, request, ports)


async def _from_api(repository: Repository, subject: Digest, request: Request, ports: Ports) -> Listed:
    """Follow the pages, bounded in number, never twice to the same one."""
    api = await ports.registry.referrers_api(repository, subject, request.credential)
    if api is ReferrersApi.HAS_NOT:
        return Listed(())
    if api is ReferrersApi.UNKNOWN:
        raise Unavailable("upstream did not say whether it has the referrers API (`upstreams[].referrers`)")
    found: list[Descriptor] = []
    op, seen = ListReferrers(repository, subject), set[ListReferrers]()
    while op not in seen and len(seen) < ports.limits.referrer_pages and len(found) <= ports.limits.referrers:
        seen.add(op)
        reply = await ask(op, request, ports, (("accept", OCI_INDEX),))
        if reply.status != 200:
            await reply.close()
            raise Unavailable(f"upstream answered {reply.status} for the referrers of {subject}")
        link = header(reply, "link")
        body = await whole(reply, ports.limits.manifest_bytes, request, ports)
        entries = await examined(partial(entries_of, body, ports), body, request, ports)
        if entries is None:
            raise Corrupt("upstream's list of referrers is no index")
        found += entries
        following = next_page(link)
        if following is None or following.repository != repository or following.digest != subject:
            return Listed(tuple(found))
        op = following
    return Listed(tuple(found), 1)  # at least one page was not read


def entries_of(body: bytes, ports: Ports) -> tuple[Descriptor, ...] | None:
    """Return the entries of an index, None for an image. An unreadable entry does not hide the others.

    Raises Corrupt for anything else.
    """
    document = loads(body, ports.limits.json_depth, ports.limits.json_values)
    if not isinstance(document, dict) or "schemaVersion" not in document:
        raise Corrupt("not a manifest")
    listed = document.get("manifests")
    if not isinstance(listed, list):
        return None
    found = []
    for entry in listed:
        with suppress(Fault):
            found.append(parse_descriptor(entry, "manifests"))
    return tuple(found)


def next_page(link: str | None) -> ListReferrers | None:
    """Return the next page that an RFC 8288 Link names, if it is a page of referrers."""
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


async def lists_referrers(
    repository: Repository, subject: Digest, body: bytes, request: Request, ports: Ports, *, all_there: bool = False
) -> bool:
    """True for an index that lists only manifests that refer to the subject; False for a user's image or index.

    An entry that is gone proves nothing; with `all_there` it counts as a manifest that refers to nothing. Raises
    Unavailable if an entry could not be examined, Exhausted.
    """
    if matches(subject, body):
        return False  # some registries resolve the tag to the digest itself
    try:
        entries = await examined(partial(entries_of, body, ports), body, request, ports)
    except Corrupt:
        return False
    for entry in entries or ():
        known = await _refers(repository, entry, subject, request, ports)
        if known is False or (known is None and all_there):
            return False
    return entries is not None


async def _refers(
    repository: Repository, entry: Descriptor, subject: Digest, request: Request, ports: Ports
) -> bool | None:
    """Return whether this manifest refers to the subject, None if upstream does not have it."""
    fact = await ports.facts.manifest(repository, entry.digest)
    if fact is not None and fact.subject is not None:
        return fact.subject == subject
    try:
        manifest = await read_manifest(repository, entry.digest, request, ports)
    except (Fault, Corrupt):
        return False  # we would never add to an unreadable list
    if manifest is None:
        return None
    return manifest.subject is not None and manifest.subject.digest == subject
