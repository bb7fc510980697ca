"""What one process remembers between requests: bodies by digest, decisions, work under way. Never the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache, TTLCache

from proxy.oci.limits import Limits
from proxy.oci.reference import Digest, Reference, Repository
from proxy.trust.decision import Decision
from proxy.trust.question import Resolved

T = TypeVar("T")


class Memory:
    """Bounded caches of one process; each key holds everything its answer depends on."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        """Start empty."""
        self.bodies: LRUCache[Digest, Resolved] = LRUCache(
            limits.memory_cache_bytes, getsizeof=lambda r: len(r.body) + 512
        )
        self.decisions: LRUCache[Hashable, Decision] = LRUCache(50_000)
        self.denials: TTLCache[Hashable, Decision] = TTLCache(10_000, limits.denial_cache_s, timer=monotonic)
        self.tags: TTLCache[Hashable, Digest] = TTLCache(20_000, limits.tag_age_s, timer=monotonic)
        self._flights: dict[Hashable, asyncio.Future[Any]] = {}

    async def once(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, shared by everybody who asks for the same key while it runs.

        One caller going away does not end the work of the others; its failure reaches all of them.
        """
        task = self._flights.get(key)
        if task is None:
            task = asyncio.ensure_future(work())
            self._flights[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        self._flights.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen by whoever waited; nobody waiting is not an error

    def forget_tag(self, repository: Repository, reference: Reference) -> None:
        """Drop what is remembered of a tag that just moved, and every denial here: new evidence counts at once."""
        for key in [k for k in self.tags if isinstance(k, tuple) and k[:2] == (repository, reference)]:
            self.tags.pop(key, None)

    def forget_denials(self, repository: Repository) -> None:
        """Drop remembered denials of a repository, because a signature was added there."""
        for key in [k for k in self.denials if isinstance(k, tuple) and k[0] == repository]:
            self.denials.pop(key, None)
