"""The claims that are signed with an image."""

from __future__ import annotations

from datetime import UTC, datetime

from proxy.formats.format import claims_at
from proxy.trust.policy import CLAIMS

NOON = datetime(2026, 1, 2, 12, 0, 0, 999_999, tzinfo=UTC)


def test_only_what_the_policy_asks_for() -> None:
    assert claims_at((), "alice", NOON) == {}
    assert claims_at(("pusher",), "alice", NOON) == {"pusher": "alice"}
    assert claims_at(CLAIMS, "alice", NOON) == {"pusher": "alice", "time": "2026-01-02T12:00:00Z"}
    assert claims_at(("other",), "alice", NOON) == {}
