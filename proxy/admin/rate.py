"""Rate limits for callers: a token bucket per address or token, refilled at a steady rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from cachetools import LRUCache

from proxy.oci.faults import Fault

_REMEMBERED = 10_000  # buckets; a caller whose bucket was evicted starts with a full one


@dataclass(frozen=True)
class Rate:
    """`burst` calls at once, then `per_second`."""

    burst: float
    per_second: float


ADDRESS = Rate(120, 4)  # calls that need no token
TOKEN = Rate(120, 4)
FAILED = Rate(10, 0.1)  # calls without a valid token
ROWS = Rate(120, 1 / 30)  # journal rows about calls a token may not make; further ones are only counted


class TokenBucket:
    """The buckets of one kind of caller. Only `check` and `take` raise."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float]) -> None:
        """Start with every bucket full."""
        self._rate = rate
        self._monotonic = monotonic
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(_REMEMBERED)

    def left(self, key: str) -> bool:
        """True if at least one call is left."""
        return self._left(key) >= 1

    def check(self, key: str) -> None:
        """Raise Fault TOOMANYREQUESTS (429) with the seconds to wait, unless a call is left."""
        left = self._left(key)
        if left < 1:
            wait = math.ceil((1 - left) / self._rate.per_second)
            text = f"too many calls from here; try again in {wait} s"
            raise Fault("TOOMANYREQUESTS", text, headers={"Retry-After": str(wait)})

    def take(self, key: str) -> None:
        """Use up one call. Raises Fault TOOMANYREQUESTS (429) when none is left."""
        self.check(key)
        self._buckets[key] = (self._left(key) - 1, self._monotonic())

    def _left(self, key: str) -> float:
        left, then = self._buckets.get(key, (self._rate.burst, self._monotonic()))
        return min(self._rate.burst, left + (self._monotonic() - then) * self._rate.per_second)


def place(address: str) -> str:
    """Return the bucket key of an address: for IPv6 its /64, because one caller can use every address in it."""
    try:
        at = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(at, IPv6Address):
        return address
    return str(at.ipv4_mapped or IPv6Address(int(at) >> 64 << 64))
