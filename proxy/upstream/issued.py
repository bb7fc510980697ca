"""The owners of tokens issued through us: bounded, with a share for each name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.oci.shares import SHARE

SWEEP_S = 60.0  # interval between removals of expired tokens


@dataclass(frozen=True)
class Issued:
    """The name a token was issued to, and its end (monotonic seconds)."""

    name: str
    ends: float


class IssuedTokens:
    """Tokens by their keyed hash. A name that exceeds its share loses its own oldest tokens first."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        """Start empty; `most` tokens are remembered in total, about 350 bytes each."""
        self._most = most
        self._each = max(1, int(most * SHARE))
        self._now = monotonic
        self._swept = monotonic()
        self._by_mac: dict[bytes, Issued] = {}  # oldest first
        self._of: dict[str, dict[bytes, None]] = {}

    def __len__(self) -> int:
        """Return the number of remembered tokens, including expired ones."""
        return len(self._by_mac)

    def get(self, mac: bytes) -> Issued | None:
        """Return the owner of a token that has not expired, else None."""
        found = self._by_mac.get(mac)
        return found if found is not None and found.ends > self._now() else None

    def put(self, mac: bytes, name: str, ends: float) -> None:
        """Remember a token."""
        self.drop(mac)
        if self._now() - self._swept > SWEEP_S:
            self._swept = self._now()
            for over in [each for each, issued in self._by_mac.items() if issued.ends <= self._now()]:
                self.drop(over)
        own = self._of.get(name, {})
        if len(own) >= self._each:
            self.drop(next(iter(own)))
        elif len(self._by_mac) >= self._most:
            self.drop(next(iter(self._by_mac)))
        self._by_mac[mac] = Issued(name, ends)
        self._of.setdefault(name, {})[mac] = None

    def drop(self, mac: bytes) -> None:
        """Forget a token."""
        gone = self._by_mac.pop(mac, None)
        if gone is not None:
            own = self._of[gone.name]
            del own[mac]
            if not own:
                del self._of[gone.name]
