"""Locks that hold across processes: a row with a fencing number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Lease:
    """Something one holder may do until `until`. `fence` grows with every acquisition and never repeats, so that
    whoever was asleep for too long can be told apart from the holder of today.
    """

    name: str
    holder: str
    fence: int
    until: datetime
