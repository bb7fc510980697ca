"""Everything that is wrong with one process and its store, from those who know of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from proxy.flows.house import House
from proxy.store import Store
from proxy.trust.problem import Problem
from proxy.wiring.keytimes import KeyTimes
from proxy.wiring.notary import chain_problems
from proxy.wiring.problems import kept_by_users, problems_of
from proxy.wiring.signer import TokenSigner
from proxy.wiring.staleness import Staleness


class Knows(Protocol):
    """Who knows of problems of its own."""

    def problems(self, server: str = "") -> list[Problem]:
        """Return what is wrong now on this server."""


class AllProblems:
    """What `status`, metrics, log and journal are made of. `refused` is when and why the last reload was refused."""

    def __init__(
        self,
        signer: TokenSigner,
        store: Store,
        house: Callable[[], House],
        path: Path,
        keytimes: KeyTimes,
        staleness: Staleness,
        others: Iterable[Knows],
    ) -> None:
        """`path` is the configuration."""
        self.refused: tuple[datetime, str] | None = None
        self._signer = signer
        self._store = store
        self._house = house
        self._path = path
        self._keytimes = keytimes
        self._staleness = staleness
        self._others = tuple(others)
        self._here = socket.gethostname()

    def now(self) -> list[Problem]:
        """Return what is wrong now."""
        house, here, store = self._house(), self._here, self._store
        exceptions, at = store.interventions.orders().exceptions, house.clock.now()
        about = self._signer, store.journal, self.refused, self._path, exceptions, at
        return [
            *problems_of(*about, store.owed.waiting(), self._keytimes.failing, here),
            *chain_problems(house.rules.current().policies, house.keybook.ring().ours),
            *self._staleness.problems(self._path, here),
            *kept_by_users(house.memory.kept_by_users, here),
            *(problem for part in self._others for problem in part.problems(here)),
        ]
