"""What a request attached, recorded together with what else it has to record: a commit costs a disk write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from proxy.journal.event import EventKind
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import all_ended
from proxy.registry.request import Request
from proxy.trust.ledger import Entry, SignatureKey, Stage

Call = Callable[[], Awaitable[object]]


@dataclass
class Records:
    """Calls of the store that are made together, in one commit.

    Until then only this process knows what was attached: a crash leaves signatures that are attached and not known to
    be, which the next attempt finds in place.
    """

    calls: list[Call] = field(default_factory=list)
    attached: list[SignatureKey] = field(default_factory=list)

    def add(
        self,
        repository: Repository,
        subject: Digest,
        entries: Sequence[Entry],
        artifact: Digest | None,
        request: Request,
        ports: Ports,
    ) -> None:
        """Add that these are attached; those that were before need no record."""
        fresh = [e for e in entries if e.stage is not Stage.ATTACHED]
        if not fresh:
            return
        events = [
            ports.event(
                EventKind.SIGNATURE_ATTACHED,
                None,
                request,
                about=(repository, e.key.bound, subject),
                detail={"format": e.key.format, "key": e.key.fingerprint, "artifact": artifact or ""},
            )
            for e in fresh
        ]
        keys = [e.key for e in fresh]
        ports.cache.attached.update(dict.fromkeys(keys, artifact))
        self.attached += keys
        self.calls += [
            partial(ports.ledger.advance, keys, Stage.ATTACHED, artifact),
            partial(ports.journal.record, *events),
        ]

    async def make(self, ports: Ports, *more: Call) -> None:
        """Make these and `more`; nothing is left to be made, whatever happens. Raises Unavailable."""
        calls, attached = self.calls, self.attached
        self.calls, self.attached = [], []
        try:
            await all_ended(*(call() for call in (*more, *calls)))
        finally:
            for key in attached:
                ports.cache.attached.pop(key, None)
