"""Immutable tags: everything they need is protected from deletion too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository, Tag, names_a_digest, parse_digest, parse_tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.resolve import resolve
from proxy.registry.reading.tag_list import tags_of
from proxy.registry.request import Request, Response
from proxy.registry.writing.write import exists
from proxy.trust.fact import TagFact
from proxy.trust.pattern import glob
from proxy.trust.policy import Policy


@dataclass(frozen=True)
class Kept:
    """Why something may not be deleted; `told` is for the caller."""

    what: str
    told: str


def immutable(policy: Policy | None, tags: Sequence[Tag]) -> list[Tag]:
    """Return those tags that the policy makes immutable. Names reserved for signatures are never among them."""
    patterns = policy.push.immutable_tags if policy else ()
    return [tag for tag in tags if not names_a_digest(tag) and any(glob(pattern, tag) for pattern in patterns)]


async def kept_by(
    repository: Repository, digest: Digest, policy: Policy, request: Request, ports: Ports
) -> Kept | None:
    """Return why this manifest or blob stays: an immutable tag needs it, or that could not be determined.

    First, immutable tags that exist upstream and are unknown here are looked up and recorded.
    """
    if not policy.push.immutable_tags:
        return None
    found = await _above(repository, digest, policy, ports)
    try:
        if found is None and await _learned(repository, policy, request, ports):
            found = await _above(repository, digest, policy, ports)
    except (Unavailable, Corrupt, Fault) as silent:
        unknown = "whether an immutable tag needs it could not be found out"
        return Kept(f"{unknown} ({silent})", unknown)
    return None if found is None else Kept(found, found)


async def _above(repository: Repository, digest: Digest, policy: Policy, ports: Ports) -> str | None:
    bound = ports.limits.list_entries
    tags = await ports.tags.above(repository, digest, ports.limits.index_depth + 1, bound)
    for tag in immutable(policy, tags):
        return f"the policy makes tag {tag} immutable, which needs this"
    return f"more than {bound} tags need this" if len(tags) >= bound else None


async def _learned(repository: Repository, policy: Policy, request: Request, ports: Ports) -> int:
    """Return the number of requests spent to learn about manifests under immutable tags.

    Raises Unavailable, Corrupt, Fault.
    """
    looks = _Looks(ports.limits.tags_looked_at)
    tags = immutable(policy, await _tags(repository, request, ports))
    known = await ports.tags.find(repository, tags)
    for tag in tags:
        fact = known.get(tag)
        digest = None if fact is None else fact.digest
        if digest is None:
            looks.spend()
            there = await exists(repository, tag, request, ports)
            if there is None:
                continue
            digest = parse_digest(there)
        await _below(repository, digest, looks, request, ports)
        if fact is None or fact.digest is None:
            await ports.tags.learn(TagFact(repository, tag, digest, ports.clock.now(), "", "upstream"))
    return looks.spent


class _Looks:
    """The number of requests to upstream, counted for one deletion. Their results are known the next time."""

    def __init__(self, bound: int) -> None:
        self.spent = 0
        self._bound = bound

    def spend(self) -> None:
        self.spent += 1
        if self.spent > self._bound:
            raise Unavailable(f"{self._bound} were looked at so far; delete again to look at more")


async def _below(repository: Repository, digest: Digest, looks: _Looks, request: Request, ports: Ports) -> None:
    """Record what this manifest lists, at all levels; a manifest that upstream does not have lists nothing."""
    level, seen = [digest], {digest}
    for _ in range(ports.limits.index_depth + 1):
        below: list[Digest] = []
        for each in level:
            fact = await ports.facts.manifest(repository, each)
            if fact is None:
                looks.spend()
                found = await resolve(PullManifest(repository, each), request, ports)
                if isinstance(found, Response):
                    if found.status != 404:
                        raise Unavailable(f"upstream answered {found.status} for {each}")
                    continue
                fact = await ports.facts.manifest(repository, each)
            below += [child for child in (fact.children if fact else ()) if child not in seen]
            seen.update(below)
        level = below


async def _tags(repository: Repository, request: Request, ports: Ports) -> list[Tag]:
    """Return all of upstream's tags. Raises Unavailable, Corrupt, Fault if there are too many."""
    found = await tags_of(repository, request, ports)
    if not isinstance(found, Response):
        return [parse_tag(name) for name in found.names]
    if found.status == 404:
        return []
    raise Unavailable(f"upstream answered {found.status} for the list of tags")
