"""The dependencies of every flow: the ports, the bounds, and our public names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.journal.event import NO_DETAIL, Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.limits import Limits
from proxy.registry.cache import Cache
from proxy.registry.keyless import Keyless
from proxy.registry.ports.facts import Facts, Ledger, Tags
from proxy.registry.ports.keys import Certifier, KeyBook, Signer, Timestamper
from proxy.registry.ports.overrides import Books, OverrideStore, Rules, UnsignedPushes
from proxy.registry.ports.upstream import Registry, Rights
from proxy.registry.request import Request
from proxy.store.clock import Clock
from proxy.trust.actor import Actor
from proxy.trust.decision import Decision
from proxy.trust.keys import KeyRing
from proxy.trust.question import NOTHING, Caller, how_of, name_of
from proxy.trust.schedule import KeyPlan

NOTHING_AT_ALL = ("", "", "")
TEXT = 500  # characters of one text in a journal row


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

    def event(
        self,
        kind: EventKind,
        by: Actor | Caller | None = None,
        request: Request | None = None,
        *,
        decision: Decision | None = None,
        about: tuple[str, str, str] = NOTHING_AT_ALL,
        reason: str = "",
        detail: Mapping[str, Any] = NO_DETAIL,
    ) -> Event:
        """Return a journal row about now: on the decision under its revisions, or under the revisions in force.

        `about` is a repository, a reference and a digest; each may be empty. `by` made the request; None is Countersign
        itself. Long texts in `detail` are cut.
        """
        who, how, request_id = "countersign", "", "" if request is None else request.request_id
        if isinstance(by, Actor):
            who, how, request_id = by.name, by.authenticated_by, request_id or by.request_id
        elif by is not None:
            who, how = name_of(by), how_of(by)
        if detail:
            detail = {name: told[:TEXT] if isinstance(told, str) else told for name, told in detail.items()}
        now = self.clock.now()
        if decision is None:
            revisions = (self.rules.current().revision, self.keybook.ring().revision)
            return Event(now, kind, who, how, *about, reason, "", request_id, *revisions, detail)
        digest = "" if decision.digest == NOTHING else decision.digest
        about, reason = (decision.question.repository, decision.question.reference, digest), decision.reason or ""
        revisions = (decision.policy_revision, decision.key_revision)
        return Event(now, kind, who, how, *about, reason, decision.id, request_id, *revisions, detail)
