"""What every flow is handed: the ports, the bounds, and who we are to the outside."""

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
    """Return the keys where nobody asks for revocation lists."""
    return ring


class AlwaysFresh:
    """The books of a server that has its store to itself."""

    def age(self) -> float:
        """Return 0: nobody else writes them."""
        return 0.0


@dataclass(frozen=True)
class Ports:
    """All ports of one running proxy. `hosts` are our public names (host[:port]), canonical first; `url` its URL.

    `plans` is how the keys of each profile are to live. A request keeps its house while a reload exchanges it; `names`
    returns our public names as they are by now.
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
    lists: Callable[[KeyRing], KeyRing] = unchanged  # adds what revocation lists there are
    names: Callable[[], tuple[str, ...]] | None = None
    books: Books = field(default_factory=AlwaysFresh)
    timestamper: Timestamper | None = None
    hides_signature_tags: bool = False  # from lists of tags
    repairs: bool = True  # whether signatures that upstream lost are put back; not where it is only asked what would be

    def hosts_now(self) -> tuple[str, ...]:
        """Return our public names, canonical first, also where a reload changed them since this request began."""
        return self.hosts if self.names is None else self.names()
