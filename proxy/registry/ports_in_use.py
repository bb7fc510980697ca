"""The dependencies of every flow: the ports, the bounds, and our public names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proxy.journal.port import Journal
from proxy.oci.limits import Limits
from proxy.registry.cache import Cache
from proxy.registry.keyless import Keyless
from proxy.registry.ports.facts import Facts
from proxy.registry.ports.keys import Certifier, KeyBook, Signer, Timestamper
from proxy.registry.ports.ledger import Ledger
from proxy.registry.ports.overrides import Books, OverrideStore, Rules, UnsignedPushes
from proxy.registry.ports.tags import Tags
from proxy.registry.ports.upstream import Registry, Rights
from proxy.store.port import Clock
from proxy.trust.keys import KeyRing
from proxy.trust.schedule import KeyPlan


def unchanged(ring: KeyRing) -> KeyRing:
    """Return the key ring unchanged: no revocation lists are configured."""
    return ring


class AlwaysFresh:
    """The books of a server that has its store to itself."""

    def age(self) -> float:
        """Return 0: no other server writes the books."""
        return 0.0


@dataclass(frozen=True)
class Ports:
    """All ports of one running proxy. `hosts` are our public names (host[:port]), canonical first; `url` is our URL.

    `plans` is the rotation schedule of each key profile. A request keeps its Ports while a reload replaces them;
    `names` returns our current public names.
    """

    registry: Registry
    rights: Rights
    signer: Signer
    keyless: Keyless
    certifier: Certifier
    rules: Rules
    keybook: KeyBook
    ledger: Ledger
    facts: Facts
    tags: Tags
    journal: Journal
    overrides: OverrideStore
    unsigned: UnsignedPushes
    clock: Clock
    limits: Limits
    cache: Cache
    hosts: tuple[str, ...]
    url: str
    name: str = "countersign"
    plans: Mapping[str, KeyPlan] = field(default_factory=dict)
    lists: Callable[[KeyRing], KeyRing] = unchanged  # adds the revocation lists we have
    names: Callable[[], tuple[str, ...]] | None = None
    books: Books = field(default_factory=AlwaysFresh)
    timestamper: Timestamper | None = None
    hides_signature_tags: bool = False  # from tag lists
    repairs: bool = True  # put back signatures that upstream lost; False for a dry run

    def hosts_now(self) -> tuple[str, ...]:
        """Return our public names, canonical first, including changes by a reload since this request began."""
        return self.hosts if self.names is None else self.names()
