"""Spans and moments in typed form: `2h`, `30m`, `2027-01-31`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from proxy.oci.faults import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds_of(text: str, option: str) -> int:
    """Return the length of a span in seconds. Raises ConfigError naming the option."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 8 and unit in _UNITS):
        raise ConfigError(f"{option}: found {text!a}; allowed: a number and s, m, h, d or w, such as 2h")
    return int(number) * _UNITS[unit]


def moment_of(text: str, option: str, now: datetime) -> datetime:
    """Return the end of a span from now, or the given moment, UTC by default. Raises ConfigError."""
    if text[-1:] in _UNITS and text[:-1].isdigit():
        return now + timedelta(seconds=seconds_of(text, option))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: found {text!a}; allowed: 2h, 7d, or 2027-01-31T18:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
