"""The claims that are signed with an image."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy.formats.format import claims_at, claims_later
from proxy.trust.policy import CLAIMS

NOON = datetime(2026, 1, 2, 12, 0, 0, 999_999, tzinfo=UTC)


def test_only_what_the_policy_asks_for() -> None:
    assert claims_at((), "alice", NOON) == {}
    assert claims_at(("pusher",), "alice", NOON) == {"pusher": "alice"}
    assert claims_at(CLAIMS, "alice", NOON) == {"pusher": "alice", "time": "2026-01-02T12:00:00Z"}
    assert claims_at(("other",), "alice", NOON) == {}


@pytest.mark.parametrize("claims", [(), ("pusher",), CLAIMS])
def test_what_is_signed_later_claims_a_pusher(claims: tuple[str, ...]) -> None:
    """It says who asked for it and why, whatever the policy asks for; when, only where the policy asks for it."""
    told = {"signed-later-by": "erika (socket)", "reason": "backlog"}
    assert claims_later(claims, "erika (socket)", "backlog", NOON) == {
        **told, **({"time": "2026-01-02T12:00:00Z"} if "time" in claims else {}),
    }  # fmt: skip
