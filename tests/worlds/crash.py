"""A process that dies at its n-th step into the world, and the next one on the same store and registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from proxy.journal.port import Journal
from proxy.registry.cache import Cache
from proxy.registry.ports.facts import Facts, Ledger, Tags
from proxy.registry.ports.keys import KeyBook, Signer
from proxy.registry.ports.upstream import Registry
from proxy.trust.fact import HELD_S
from tests.worlds.conversation import World


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing catches it."""


@dataclass
class StepBudget:
    """How many steps are left. `after`: the last step is still taken, but nobody hears of it."""

    left: int = 1_000_000
    after: bool = False
    steps: int = 0

    def spend(self) -> bool:
        """Count a step; return whether the process dies now. Raises Killed once it is dead."""
        if self.left < 0:
            raise Killed
        self.left -= 1
        self.steps += 1
        return self.left < 0


class Dying:
    """A port whose calls are steps."""

    def __init__(self, port: object, budget: StepBudget) -> None:
        self._port = port
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name in {"health", "ring", "of", "tokens_of"} or not callable(found):
            return found
        return self._step(found)

    def _step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def step(*args: Any, **more: Any) -> Any:
            dies = self._budget.spend()
            if dies and not self._budget.after:
                raise Killed
            result = await call(*args, **more)
            if dies:
                raise Killed
            return result

        return step


def dying(w: World, budget: StepBudget) -> World:
    """The same world with a process that has only so many steps."""

    def wrapped(port: object) -> Any:
        return Dying(port, budget)

    registry: Registry = wrapped(w.ports.registry)
    signer: Signer = wrapped(w.ports.signer)
    ledger: Ledger = wrapped(w.ports.ledger)
    facts: Facts = wrapped(w.ports.facts)
    tags: Tags = wrapped(w.ports.tags)
    journal: Journal = wrapped(w.ports.journal)
    keybook: KeyBook = wrapped(w.ports.keybook)
    ports = replace(
        w.ports,
        registry=registry,
        signer=signer,
        ledger=ledger,
        facts=facts,
        tags=tags,
        journal=journal,
        keybook=keybook,
        cache=Cache(w.ports.limits, w.store.clock.monotonic),
    )
    return replace(w, ports=ports)


def restarted(w: World) -> World:
    """The next process: nothing remembered, the same store and registry. What it held is over by now."""
    w.store.tags.restarted()
    if not w.store.tags.sole:
        w.store.clock.advance(HELD_S + 1)
    memory = Cache(w.ports.limits, w.store.clock.monotonic)
    ports = replace(
        w.ports,
        registry=w.registry,
        signer=w.signer,
        ledger=w.store.ledger,
        facts=w.store.facts,
        tags=w.store.tags,
        journal=w.store.journal,
        keybook=w.store.keybook,
        cache=memory,
    )
    return replace(w, ports=ports)
