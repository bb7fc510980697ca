"""What a denial or an exception means that names an index: also what that index lists."""

from __future__ import annotations

from collections.abc import Collection

from proxy.flows.house import House
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Digest, Repository
from proxy.trust.denial import Denial
from proxy.trust.standing import Standing

LOOKED_UP = 64  # indexes, on the way up from one manifest; and of those that list one


async def named_above(repository: Repository, digest: Digest, standing: Standing, house: House) -> frozenset[Digest]:
    """Return those indexes above this manifest that a denial or an exception names, as far as is known here.

    While the store does not answer, known is what this process remembers: a denial must not stop every pull then.
    """
    if not standing.named:
        return frozenset()
    seen, level = {digest}, {digest}
    for _ in range(house.limits.index_depth):
        found: set[Digest] = set()
        for each in level:
            if len(seen | found) <= LOOKED_UP:
                found.update(await _parents(repository, each, standing, house))
        level = found - seen
        seen |= level
    return frozenset(seen & standing.named) - {digest}


async def _parents(repository: Repository, digest: Digest, standing: Standing, house: House) -> Collection[Digest]:
    """Those that are named come first: whoever pushes many that list it too does not crowd them out."""
    try:
        return await house.facts.parents(repository, digest, LOOKED_UP, standing.named)
    except Unavailable:
        return house.memory.parents(repository, digest)


async def denied(repository: Repository, digest: Digest, house: House) -> Denial | None:
    """Return the denial that this manifest falls under here, or None."""
    standing = house.interventions.standing()
    if not standing.denials:
        return None
    above = await named_above(repository, digest, standing, house)
    return standing.denial(repository, {digest, *above})
