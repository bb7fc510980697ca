"""Sign the children of an index for the tag it moves too: some verifiers look up only the child they chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.oci.manifest import Descriptor, Manifest
from proxy.oci.reference import Digest, Repository, Tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.request import Request
from proxy.registry.signing.sign import SIMPLE, bound_to, sign
from proxy.trust.actor import Actor
from proxy.trust.ledger import Entry
from proxy.trust.policy import PushRules

LEFT_OUT = "the manifests that this index lists are not all signed for its tags, only for the repository"


async def sign_children(
    repository: Repository,
    index: Manifest,
    tags: Sequence[Tag],
    rules: PushRules,
    claims: Mapping[str, str],
    by: Actor,
    request: Request,
    ports: Ports,
) -> tuple[Entry, ...]:
    """Sign every child that we signed before for the tags too (WIRE 1); return their entries, not yet attached.

    A child we never signed was not pushed through this proxy: its pushers did not ask us, so it relies on its parent.
    Size and type of a child come from our facts: the index may claim others. If a push would need more signatures than
    one push may ask for, none is made and the response says so.
    """
    if not tags or SIMPLE not in rules.formats:
        return ()
    children = await _signed_before(repository, index, ports)
    most, each = ports.limits.signatures_per_push, len(tags) * len(rules.sign_with)
    if (too_many := len(children) * each) > most:
        request.budget.notes.append(f"{LEFT_OUT}: that is {too_many} signatures, one push asks for at most {most}")
        return ()
    made: tuple[Entry, ...] = ()
    pairs = [(SIMPLE, bound_to(repository, tag, ports)) for tag in tags]
    for child in children:
        made += await sign(repository, child, pairs, rules.sign_with, claims, by, ports)
    return made


async def _signed_before(repository: Repository, index: Manifest, ports: Ports) -> list[Descriptor]:
    """Return the manifests the index lists, at any depth we read, that we signed before and that are not denied."""
    found: list[Descriptor] = []
    todo = [(child.digest, 1) for child in index.children]
    seen: set[Digest] = set()
    while todo:
        digest, depth = todo.pop()
        fact = None if digest in seen else await ports.facts.manifest(repository, digest)
        seen.add(digest)
        if fact is None:
            continue
        if await ports.ledger.entries(repository, digest) and await denied(repository, digest, ports) is None:
            found.append(Descriptor(fact.media_type, digest, fact.size))
        if depth < ports.limits.index_depth:
            todo += [(child, depth + 1) for child in fact.children]
    return found
