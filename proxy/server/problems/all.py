"""All problems of one process and its store, collected from the parts that detect them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from proxy.journal.problem import Problem
from proxy.keys.schedule_runner import ScheduleRunner
from proxy.registry.ports_in_use import Ports
from proxy.server.problems.health import kept_by_users, problems_of
from proxy.server.problems.staleness import Staleness
from proxy.server.store import Store
from proxy.tokens.schemes import chain_problems
from proxy.tokens.signer import TokenSigner


class Knows(Protocol):
    """A part that detects problems of its own."""

    def problems(self, server: str = "") -> list[Problem]:
        """Return the present problems of this server."""


class AllProblems:
    """The source of problems for `status`, metrics, log and journal. `refused`: time and reason of a refused reload."""

    def __init__(
        self,
        signer: TokenSigner,
        store: Store,
        ports: Callable[[], Ports],
        path: Path,
        keytimes: ScheduleRunner,
        staleness: Staleness,
        others: Iterable[Knows],
    ) -> None:
        """`path` is the configuration file."""
        self.refused: tuple[datetime, str] | None = None
        self._signer = signer
        self._store = store
        self._ports = ports
        self._path = path
        self._keytimes = keytimes
        self._staleness = staleness
        self._others = tuple(others)
        self._here = socket.gethostname()

    def now(self) -> list[Problem]:
        """Return all present problems."""
        ports, here, store = self._ports(), self._here, self._store
        exceptions, at = store.overrides.orders().exceptions, ports.clock.now()
        about = self._signer, store.journal, self.refused, self._path, exceptions, at
        return [
            *problems_of(*about, store.unsigned.waiting(), self._keytimes.failing, here),
            *chain_problems(ports.rules.current().policies, ports.keybook.ring().ours),
            *self._staleness.problems(self._path, here),
            *kept_by_users(ports.cache.kept_by_users, here),
            *(problem for part in self._others for problem in part.problems(here)),
        ]
