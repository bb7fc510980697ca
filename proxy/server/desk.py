"""The local commands of the running server; they use the same `judge` and `sign` flows as every request."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from proxy.journal.problem import Problem
from proxy.journal.reports import WouldBlock
from proxy.oci.duration import since_when
from proxy.oci.image_name import parse_name
from proxy.registry.judging.judge import judge
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.resolve import not_given
from proxy.registry.request import Request, Response
from proxy.registry.signing.sign_existing import sign_existing
from proxy.server.store import Store
from proxy.trust import explain
from proxy.trust.decision import Decision


class Desk:
    """The answers to local commands. `ports` returns the ports in force; a reload replaces them."""

    def __init__(
        self,
        ports: Callable[[], Ports],
        store: Store,
        problems: Callable[[], list[Problem]],
        source: Callable[[], dict[str, str | int]],
        soon: Callable[[], list[dict[str, Any]]] = list,
        warnings: Callable[[], list[dict[str, str]]] = list,
    ) -> None:
        """`problems` returns the present problems, `source` the origin of the policies in force.

        `soon` returns the announced key changes, `warnings` the approaching expiries.
        """
        self._source = source
        self._ports = ports
        self._store = store
        self._problems = problems
        self._soon = soon
        self._warnings = warnings
        self._started = ports().clock.now()

    def _asked(self) -> Request:
        return Request(Credential(ours=True), f"local-{secrets.token_hex(6)}", address="socket")

    async def verify(self, ref: str) -> dict[str, Any]:
        """Return the decision that any caller's pull of this name would get now. Raises Fault, Unavailable, Corrupt."""
        ports = self._ports()
        judged = await judge(parse_name(ref, ports.hosts), self._asked(), ports)
        if isinstance(judged, Response):
            raise not_given(ref, judged.status)
        return _shown(judged.decision, ports)

    async def why(self, question: str) -> dict[str, Any]:
        """Return the recorded decision with this id, or a fresh decision on a name."""
        ports = self._ports()
        if "/" not in question and ":" not in question:
            known = await ports.journal.decision(question)
            if known is not None:
                return _shown(known, ports)
        return await self.verify(question)

    async def sign(self, ref: str, reason: str, who: str, how: str) -> dict[str, Any]:
        """Sign an image that already exists upstream; return its signatures."""
        ports = self._ports()
        done = await sign_existing(parse_name(ref, ports.hosts), reason, who, how, self._asked(), ports)
        return {
            "digest": done.digest,
            "signatures": [
                {"digest": e.key.digest, "format": e.key.format, "bound": e.key.bound, "key": e.key.fingerprint}
                for e in done.entries
            ],
        }

    async def would_block(self, since: str) -> dict[str, Any]:
        """Return the pulls that warn mode allowed and enforce mode would block, since a span (`7d`) or a moment."""
        ports = self._ports()
        start = since_when(since, ports.clock.now())
        return warned(start, await self._store.journal.would_block(start))

    async def status(self) -> dict[str, Any]:
        """Return the status; each problem with its start, its effect and the next command."""
        ports = self._ports()
        ring = ports.keybook.ring()
        return {
            "name": ports.name,
            "url": ports.url,
            "started": self._started.isoformat(),
            "pid": os.getpid(),
            "policy_revision": ports.rules.current().revision,
            **self._source(),
            "key_revision": ring.revision,
            "keys": [
                {"profile": k.profile, "state": k.state.value, "algorithm": k.algorithm, "since": k.since.isoformat()}
                for k in ring.ours
            ],
            "soon": self._soon(),
            "warnings": self._warnings(),
            "problems": [each.shown() for each in self._problems()],
        }


def _shown(decision: Decision, ports: Ports) -> dict[str, Any]:
    shown = explain.as_json(decision)
    return {**shown, "text": explain.text(decision, ports.name, ports.url)}


def warned(since: datetime, rows: Iterable[WouldBlock]) -> dict[str, Any]:
    """Return these images as JSON values."""
    return {
        "since": since.isoformat(),
        "images": [
            {
                "repository": row.repository,
                "reference": row.reference,
                "reasons": list(row.reasons),
                "pulls": row.count,
                "last": row.last.isoformat(),
                "decision": row.decision_id,
            }
            for row in rows
        ],
    }
