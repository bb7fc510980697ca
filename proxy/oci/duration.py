"""Durations in the notation of the configuration (`14d`, `12h`), and times as text. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = timedelta(days=3653)
ALLOWED = "a number of s, m, h, d or w, such as 12h or 14d, at most ten years"


def parse_span(text: str) -> timedelta:
    """Return the duration. Raises ValueError that says what is allowed."""
    digits, unit = text[:-1], text[-1:]
    if not (digits.isascii() and digits.isdigit() and unit in _UNITS and len(digits) < 10):
        raise ValueError(f"allowed: {ALLOWED}")
    span = timedelta(seconds=int(digits) * _UNITS[unit])
    if not timedelta() < span <= LONGEST:
        raise ValueError(f"allowed: {ALLOWED}")
    return span


def span_text(span: timedelta) -> str:
    """Return it as `parse_span` reads it, in the largest exact unit; fractions of a second are cut."""
    seconds = int(span.total_seconds())
    unit, size = next((u, s) for u, s in reversed(_UNITS.items()) if seconds % s == 0 and u != "w")
    return f"{seconds // size}{unit}"


def instant(at: datetime) -> str:
    """Return an aware time as `2026-01-02T12:00:00.000000Z`: UTC, of fixed width, so that texts are in its order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def second(moment: object) -> str:
    """Return a moment, or its ISO text, for people: UTC, to the second."""
    return str(moment)[:19].replace("T", " ")


def minute(moment: object) -> str:
    """Return a moment, or its ISO text, for people: UTC, to the minute."""
    return str(moment)[:16].replace("T", " ")
