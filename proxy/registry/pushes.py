"""Manifests being pushed here: their signatures are not withdrawn meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from proxy.oci.reference import Digest, Repository

T = TypeVar("T")
ManifestKey = tuple[Repository, Digest]


class Pushes:
    """The pushes of one process, by manifest."""

    def __init__(self, alone: Callable[[Hashable], AbstractAsyncContextManager[None]]) -> None:
        """`alone` holds the lock of a key: signing and writing lists hold the same lock."""
        self._alone = alone
        # number of pushes, and the event at their end
        self._under_way: dict[ManifestKey, tuple[int, asyncio.Event]] = {}

    @contextmanager
    def under_way(self, place: ManifestKey) -> Iterator[None]:
        """While this lasts, `none_of` waits: the manifest may be stored again."""
        count, over = self._under_way.get(place, (0, asyncio.Event()))
        self._under_way[place] = (count + 1, over)
        try:
            yield
        finally:
            count, over = self._under_way.pop(place)
            if count > 1:
                self._under_way[place] = (count - 1, over)
            else:
                over.set()

    async def none_of(self, place: ManifestKey, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of work done while no task here pushes this manifest, signs it or writes its lists.

        A push that begins meanwhile signs the manifest afterwards.
        """
        while True:
            if place in self._under_way:
                await self._under_way[place][1].wait()
            async with self._alone(("sign", *place)), self._alone(("attach", *place)):
                if place not in self._under_way:
                    return await work()
