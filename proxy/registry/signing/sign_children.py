"""Sign the children of an index for the tag it moves too: some verifiers look up only the child they chose."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.oci.manifest import Descriptor, Manifest
from proxy.oci.reference import Digest, Repository, Tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.read import together
from proxy.registry.request import Request
from proxy.registry.signing.sign import SIMPLE, Wanted, bound_to
from proxy.trust.policy import PushRules

LEFT_OUT = "the manifests that this index lists are not all signed for its tags, only for the repository"


async def wanted_below(
    repository: Repository, index: Manifest, tags: Sequence[Tag], rules: PushRules, request: Request, ports: Ports
) -> list[Wanted]:
    """Return the signatures for the tags of every child that we signed before (WIRE 1).

    A child we never signed was not pushed through this proxy: its pushers did not ask us, so it relies on its parent.
    Size and type of a child come from our facts: the index may claim others. If a push would need more signatures than
    one push may ask for, none is wanted and the response says so.
    """
    if not tags or SIMPLE not in rules.formats:
        return []
    children = await _signed_before(repository, index, ports)
    most, each = ports.limits.signatures_per_push, len(tags) * len(rules.sign_with)
    if (too_many := len(children) * each) > most:
        request.budget.notes.append(f"{LEFT_OUT}: that is {too_many} signatures, one push asks for at most {most}")
        return []
    pairs = [(SIMPLE, bound_to(repository, tag, ports)) for tag in tags]
    return [(child, pairs) for child in children]


async def _signed_before(repository: Repository, index: Manifest, ports: Ports) -> list[Descriptor]:
    """Return the manifests the index lists, at any depth we read, that we signed before and that are not denied."""
    found: list[Descriptor] = []
    seen: set[Digest] = set()
    level = [child.digest for child in index.children]
    for _ in range(ports.limits.index_depth):
        fresh = [digest for digest in dict.fromkeys(level) if digest not in seen]
        seen.update(fresh)
        facts = [f for f in await together([ports.facts.manifest(repository, digest) for digest in fresh]) if f]
        entries = await together([ports.ledger.entries(repository, fact.digest) for fact in facts])
        for fact, ours in zip(facts, entries, strict=True):
            if ours and await denied(repository, fact.digest, ports) is None:
                found.append(Descriptor(fact.media_type, fact.digest, fact.size))
        level = [child for fact in facts for child in fact.children]
    return found
