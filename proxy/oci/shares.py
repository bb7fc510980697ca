"""A bounded quantity that many callers share, so that no single one of them can use it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import ip_address

PRESSURE = 3 / 4  # of the limit in use: below this, shares do not apply
LONGEST = 45  # characters of an IPv6 address; no longer text is cached
SHARE = 1 / 8  # of the limit: one holder's maximum under pressure


class Shares:
    """How much of one limit is in use, and by whom.

    A holder of more than `SHARE` of the limit is refused more once `PRESSURE` of it is in use; all other holders are
    served until the limit itself is reached. So 500 nodes behind one address work, and one address cannot shut the
    others out. A holder of None has no share of its own and is bound by the limit alone.
    """

    def __init__(self, limit: int) -> None:
        """Start with nothing in use. `limit` may count any unit: connections, bytes, transfers, rows."""
        self.limit = limit
        self.used = 0
        self._held: Counter[Hashable] = Counter()

    def take(self, holder: Hashable | None, amount: int = 1) -> bool:
        """Give the holder this much more and return True, or change nothing and return False."""
        used = self.used + amount
        if used > self.limit:
            return False
        if holder is not None:
            held = self._held[holder] + amount
            if used > self.limit * PRESSURE and held > self.limit * SHARE:
                return False
            self._held[holder] = held
        self.used = used
        return True

    def over(self, holder: Hashable | None) -> bool:
        """Return whether this holder has a whole share, or more."""
        return holder is not None and self._held.get(holder, 0) >= self.limit * SHARE

    def give_back(self, holder: Hashable | None, amount: int = 1) -> None:
        """Take back what `take` gave to this holder."""
        self.used -= amount
        if holder is None:
            return
        self._held[holder] -= amount
        if self._held[holder] <= 0:
            del self._held[holder]

    def held(self, holder: Hashable) -> int:
        """Return how much this holder has now."""
        return self._held.get(holder, 0)


def network_of(address: str) -> str:
    """Return the network that counts as one caller before login: an IPv4 address, an IPv6 /64, else the text."""
    return _known_network(address) if len(address) <= LONGEST else _network(address)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{parsed.exploded[:19]}::/64"


_known_network = lru_cache(4096)(_network)
