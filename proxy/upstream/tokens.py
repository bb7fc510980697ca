"""Parses and writes passwords and tokens in Authorization headers and in realm responses. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.oci.shares import SHARE
from proxy.upstream.headers import is_plain

DEFAULT_LIFE_S = 60  # the lifetime of a token without `expires_in` (distribution, token specification)
LONGEST_LIFE_S = 3600


def basic(user: str, password: str) -> str:
    """Return the Authorization value of a name and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def user_of(authorization: str | None) -> str | None:
    """Return the name in a Basic Authorization value, or None.

    Only the one spelling that every realm reads is accepted. A realm may treat another spelling (other case of the
    scheme, an extra space, no password after the name) as anonymous and allow it, but refuse the probe, which names a
    user.
    """
    scheme, _, text = (authorization or "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return name if name and password and basic(name, password) == authorization else None


def token_in(body: bytes) -> tuple[str, int]:
    """Return the token in a realm's response and its lifetime in seconds; '' if there is none.

    `access_token` is OAuth's name for `token`; a realm that sends both sends the same value twice.
    """
    answer = fields(body)
    token = answer.get("token") or answer.get("access_token")
    life = answer.get("expires_in")
    sound = isinstance(life, int) and not isinstance(life, bool) and life > 0
    return (
        token if isinstance(token, str) and is_plain(token) else "",
        min(life, LONGEST_LIFE_S) if sound and isinstance(life, int) else DEFAULT_LIFE_S,
    )


def fields(body: bytes) -> Mapping[str, object]:
    """Return the fields of a realm's response, or none if it is not an object."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


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
