"""What `report would-block` shows: pulls that a warning let through and that enforcing would deny."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class WouldBlock:
    """One image under one reference: how often it was pulled with a warning, why, and when last.

    `reasons` are (reason code, pulls), the commonest first. `decision_id` is the newest decision, for `why`.
    """

    repository: str
    reference: str
    count: int
    reasons: tuple[tuple[str, int], ...]
    last: datetime
    decision_id: str
