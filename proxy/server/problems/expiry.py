"""Expiries and their warning thresholds: 60, 30 and 7 days ahead. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

AHEAD = (60, 30, 7)  # days
OVER = 0


class ExpiryKind(StrEnum):
    """The kinds of things that expire: a closed set, so that they can be labels of a metric."""

    CHAIN = "key chain"
    AUTHORITY = "trusted authority"
    SERVER_TLS = "server certificate"
    ADMIN_TLS = "admin certificate"
    ADMIN_CA = "admin client CA"
    UPSTREAM_TLS = "upstream certificate"
    UPSTREAM_CA = "upstream CA"
    CLIENT_CERT = "client certificate"
    TSA = "timestamp authority"
    CRL = "revocation list"
    ADMIN_TOKEN = "admin token"  # noqa: S105  a kind of thing


@dataclass(frozen=True)
class Expiry:
    """The expiry of one thing: `name` identifies it among its kind, `next` is the action to take in time."""

    kind: ExpiryKind
    name: str
    at: datetime
    next: str
    begun: datetime | None = None  # start of its validity, if known

    def days_left(self, now: datetime) -> float:
        """Return the days left, negative after the end."""
        return (self.at - now) / timedelta(days=1)

    def threshold(self, now: datetime) -> int | None:
        """Return the smallest threshold of `AHEAD` (days) that has been passed, `OVER` after the end, else None.

        A threshold at least as long as the whole lifetime is skipped: a token made for one day never causes a warning.
        """
        if now > self.at:
            return OVER
        whole = AHEAD[0] + 1 if self.begun is None else (self.at - self.begun) // timedelta(days=1)
        due = [days for days in AHEAD if self.days_left(now) <= days < whole]
        return min(due, default=None)

    def says(self, now: datetime) -> str:
        """Return the warning text."""
        when = f"{self.at:%Y-%m-%d %H:%M} UTC"
        if now > self.at:
            return f"{self.kind} {self.name} ended at {when}"
        days = int(self.days_left(now))
        left = "in less than a day" if days < 1 else f"in {days} day{'s'[: days != 1]}"
        return f"{self.kind} {self.name} ends {left}, at {when}"


def due(endings: Iterable[Expiry], now: datetime) -> tuple[Expiry, ...]:
    """Return the expiries to warn of now, the most urgent first."""
    return tuple(sorted((e for e in endings if e.threshold(now) is not None), key=lambda e: (e.at, e.kind, e.name)))


def next_of_each(endings: Iterable[Expiry]) -> dict[ExpiryKind, datetime]:
    """Return the first expiry of each kind."""
    first: dict[ExpiryKind, datetime] = {}
    for each in endings:
        first[each.kind] = min(each.at, first.get(each.kind, each.at))
    return first
