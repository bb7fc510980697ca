"""Upstream's answers about a credential, kept for a while: keys of a fixed size, one bound on all entries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

from proxy.oci.bounded import Bounded

EACH = 1_000  # answers about one credential; beyond that its oldest are dropped


class Recall:
    """Yes or no by credential (a keyed hash of it), right and repository, until a time of the monotonic clock.

    An entry costs about 250 bytes, a credential about 500 more; the least recently used credential is dropped first.
    """

    def __init__(self, entries: int, monotonic: Callable[[], float]) -> None:
        """Start empty, for this many entries in all."""
        self._monotonic = monotonic
        self._by: Bounded[bytes, dict[bytes, float]] = Bounded(entries, lambda about: 1 + len(about))

    def __len__(self) -> int:
        """Return the current size: all entries, plus one for each credential."""
        return int(self._by.used)

    def holds(self, mac: bytes, right: str, repository: str) -> bool:
        """True if this answer was stored and has not expired."""
        about = self._by.get(mac)
        return about is not None and about.get(_key(right, repository), 0.0) > self._monotonic()

    def tell(self, mac: bytes, right: str, repository: str, ends: float) -> None:
        """Store this answer until `ends`."""
        about = self._by.get(mac, {})
        key = _key(right, repository)
        about.pop(key, None)
        while len(about) >= EACH:
            del about[next(iter(about))]
        about[key] = ends
        self._by[mac] = about  # stored again, so that its size is counted

    def drop(self, mac: bytes, right: str, repository: str) -> None:
        """Forget one entry."""
        about = self._by.get(mac)
        if about is not None and about.pop(_key(right, repository), None) is not None:
            if about:
                self._by[mac] = about
            else:
                del self._by[mac]

    def forget(self, mac: bytes) -> None:
        """Forget everything about one credential."""
        self._by.pop(mac, None)


@lru_cache(4096)  # 2 MiB at most: repositories have 255 characters
def _key(right: str, repository: str) -> bytes:
    return hashlib.blake2b(f"{right}\0{repository}".encode(), digest_size=16).digest()
