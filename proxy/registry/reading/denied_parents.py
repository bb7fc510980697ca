"""A denial or exception that names an index also covers every manifest the index lists."""

from __future__ import annotations

from proxy.oci.faults import Told, Unavailable
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports_in_use import Ports
from proxy.trust.denial import Denial
from proxy.trust.overrides import Overrides

LOOKED_UP = 10_000  # indexes above one manifest, at any depth: their digests alone


async def named_ancestors(
    repository: Repository, digest: Digest, overrides: Overrides, ports: Ports
) -> frozenset[Digest]:
    """Return the indexes above this manifest that a denial or an exception names, as far as is known here.

    While the store does not answer, this process's memory is used: a denial must not stop every pull then. Raises
    Unavailable if there are more indexes than are examined.
    """
    if not overrides.named:
        return frozenset()
    try:
        above = await ports.facts.ancestors(repository, digest, LOOKED_UP)
    except Unavailable:
        above = _remembered(repository, digest, ports)
    if len(above) > LOOKED_UP:
        what = f"more than {LOOKED_UP} indexes list {digest}: one that is denied may be among the others"
        raise Unavailable(what, told=Told.MUCH)
    return (above & overrides.named) - {digest}


def _remembered(repository: Repository, digest: Digest, ports: Ports) -> frozenset[Digest]:
    seen, level = {digest}, {digest}
    while level:
        level = {above for each in level for above in ports.cache.parents(repository, each)} - seen
        seen |= level
    return frozenset(seen)


async def denied(repository: Repository, digest: Digest, ports: Ports) -> Denial | None:
    """Return the denial that covers this manifest here, or None. Raises Unavailable as `named_ancestors` does."""
    overrides = ports.overrides.in_force()
    if not overrides.denials:
        return None
    if (own := overrides.denial(repository, {digest})) is not None:
        return own
    return overrides.denial(repository, await named_ancestors(repository, digest, overrides, ports))
