"""Clock: aware time in UTC, and seconds that never go backwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from proxy.store.clock import Clock, SystemClock
from tests.worlds.memory import FrozenClock

Pass = Callable[[float], None]


@pytest.fixture(params=["frozen", "system"])
def passing(request: pytest.FixtureRequest) -> tuple[Clock, Pass]:
    """A clock, and what lets time pass on it."""
    if request.param == "system":
        return SystemClock(), time.sleep
    frozen = FrozenClock()
    return frozen, frozen.advance


def test_the_time_is_aware_and_in_utc(passing: tuple[Clock, Pass]) -> None:
    assert passing[0].now().utcoffset() == timedelta(0)


def test_both_ways_of_telling_time_go_on_together_and_never_back(passing: tuple[Clock, Pass]) -> None:
    clock, let_pass = passing
    seen = [(clock.now(), clock.monotonic())]
    for _ in range(5):
        seen.append((clock.now(), clock.monotonic()))
        let_pass(0.01)
    seen.append((clock.now(), clock.monotonic()))
    assert [ticks for _, ticks in seen] == sorted(ticks for _, ticks in seen)
    assert seen[-1][1] - seen[0][1] >= 0.049
    assert (seen[-1][0] - seen[0][0]).total_seconds() == pytest.approx(seen[-1][1] - seen[0][1], abs=1.0)
