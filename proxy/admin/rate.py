"""How often somebody may call: a bucket of calls for each address or token, filled again at a steady rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from cachetools import LRUCache

from proxy.oci.faults import Fault

_REMEMBERED = 10_000  # buckets; whoever was forgotten starts with a full one


@dataclass(frozen=True)
class Rate:
    """`burst` calls at once, then `per_second`."""

    burst: float
    per_second: float


ADDRESS = Rate(120, 4)  # what is told without a token
TOKEN = Rate(120, 4)
FAILED = Rate(10, 0.1)  # calls without a valid token
ROWS = Rate(120, 1 / 30)  # rows about calls that a token may not make; those beyond it are counted


class TokenBucket:
    """The buckets of one kind of caller. Never raises but in `check` and `take`."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float]) -> None:
        """Start with every bucket full."""
        self._rate = rate
        self._monotonic = monotonic
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(_REMEMBERED)

    def left(self, key: str) -> bool:
        """True when a call is left."""
        return self._left(key) >= 1

    def check(self, key: str) -> None:
        """Return when a call is left. Raises Fault TOOMANYREQUESTS (429) with the seconds to wait."""
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
    """Return what calls from this address are counted under: of IPv6 the /64, all of which one caller has at hand."""
    try:
        at = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(at, IPv6Address):
        return address
    return str(at.ipv4_mapped or IPv6Address(int(at) >> 64 << 64))
