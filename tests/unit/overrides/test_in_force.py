from dataclasses import replace
from datetime import timedelta

from proxy.oci.reference import digest_of
from proxy.overrides.store import Ordered
from proxy.trust.overrides import AllOverrides
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.orders import denial, exception

ONE = digest_of(b"one")


def test_what_stands_is_found_anew_when_a_moment_comes() -> None:
    clock = FrozenClock()
    ordered = Ordered(clock.now)
    ordered.put(AllOverrides((denial(ONE, until=NOON + timedelta(hours=1)),), (exception(hours=2),)))
    first = ordered.in_force()
    clock.advance(3599)
    assert ordered.in_force() is first
    clock.advance(1)
    assert ordered.in_force().stamp == ("e1",)
    clock.advance(3600)
    assert ordered.in_force().stamp == ()


def test_a_clock_that_steps_back_opens_nothing_again_and_lifts_nothing() -> None:
    clock = FrozenClock()
    ordered = Ordered(clock.now)
    ordered.put(AllOverrides((denial(ONE, until=NOON + timedelta(hours=1)),), (exception(hours=2),)))
    clock.advance(3 * 3600)
    assert ordered.in_force().stamp == ()
    clock.advance(-3 * 3600)
    assert ordered.in_force().stamp == ("d1",)


def test_an_exception_of_the_host_stands_until_the_record_says_otherwise() -> None:
    ordered = Ordered(FrozenClock().now)
    mine = exception(offline=True)
    ordered.put_offline(mine)
    assert ordered.in_force().exceptions == (mine,)
    ordered.put(AllOverrides(exceptions=(replace(mine, closed=NOON),)))
    assert ordered.in_force().exceptions == ()
    ordered.put_offline(None)
    ordered.put(AllOverrides())
    assert ordered.in_force().exceptions == ()
