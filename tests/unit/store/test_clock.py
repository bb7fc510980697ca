from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import time_machine

from proxy.store.clock import SystemClock

SUMMER = datetime(2027, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))


def test_the_machine_s_time_is_told_in_utc_wherever_it_stands() -> None:
    with time_machine.travel(SUMMER, tick=False):
        now = SystemClock().now()
    assert now == SUMMER
    assert now.isoformat() == "2027-06-30T23:30:00+00:00"
    assert now.tzinfo is UTC
