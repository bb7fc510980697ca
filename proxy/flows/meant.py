"""What a denial or an exception means that names an index: also what that index lists."""

from __future__ import annotations

from proxy.flows.house import House
from proxy.oci.faults import Told, Unavailable
from proxy.oci.reference import Digest, Repository
from proxy.trust.denial import Denial
from proxy.trust.standing import Standing

LOOKED_UP = 10_000  # indexes above one manifest, at any depth: their digests alone


async def named_above(repository: Repository, digest: Digest, standing: Standing, house: House) -> frozenset[Digest]:
    """Return those indexes above this manifest that a denial or an exception names, as far as is known here.

    While the store does not answer, known is what this process remembers: a denial must not stop every pull then.
    Raises Unavailable where there are more of them than are looked at.
    """
    if not standing.named:
        return frozenset()
    try:
        above = await house.facts.ancestors(repository, digest, LOOKED_UP)
    except Unavailable:
        above = _remembered(repository, digest, house)
    if len(above) > LOOKED_UP:
        what = f"more than {LOOKED_UP} indexes list {digest}: one that is denied may be among the others"
        raise Unavailable(what, told=Told.MUCH)
    return (above & standing.named) - {digest}


def _remembered(repository: Repository, digest: Digest, house: House) -> frozenset[Digest]:
    seen, level = {digest}, {digest}
    while level:
        level = {above for each in level for above in house.memory.parents(repository, each)} - seen
        seen |= level
    return frozenset(seen)


async def denied(repository: Repository, digest: Digest, house: House) -> Denial | None:
    """Return the denial that this manifest falls under here, or None. Raises Unavailable as `named_above` does."""
    standing = house.interventions.standing()
    if not standing.denials:
        return None
    if (own := standing.denial(repository, {digest})) is not None:
        return own
    return standing.denial(repository, await named_above(repository, digest, standing, house))
