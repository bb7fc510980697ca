from dataclasses import replace
from datetime import timedelta

from proxy.oci.reference import digest_of
from proxy.store.ordered import Ordered
from proxy.trust.standing import Orders
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.orders import denial, exception

ONE = digest_of(b"one")


def test_what_stands_is_found_anew_when_a_moment_comes() -> None:
    clock = FrozenClock()
    ordered = Ordered(clock.now)
    ordered.put(Orders((denial(ONE, until=NOON + timedelta(hours=1)),), (exception(hours=2),)))
    first = ordered.standing()
    clock.advance(3599)
    assert ordered.standing() is first
    clock.advance(1)
    assert ordered.standing().stamp == ("e1",)
    clock.advance(3600)
    assert ordered.standing().stamp == ()


def test_a_clock_that_steps_back_opens_nothing_again_and_lifts_nothing() -> None:
    clock = FrozenClock()
    ordered = Ordered(clock.now)
    ordered.put(Orders((denial(ONE, until=NOON + timedelta(hours=1)),), (exception(hours=2),)))
    clock.advance(3 * 3600)
    assert ordered.standing().stamp == ()
    clock.advance(-3 * 3600)
    assert ordered.standing().stamp == ("d1",)


def test_an_exception_of_the_host_stands_until_the_record_says_otherwise() -> None:
    ordered = Ordered(FrozenClock().now)
    mine = exception(offline=True)
    ordered.put_offline(mine)
    assert ordered.standing().exceptions == (mine,)
    ordered.put(Orders(exceptions=(replace(mine, closed=NOON),)))
    assert ordered.standing().exceptions == ()
    ordered.put_offline(None)
    ordered.put(Orders())
    assert ordered.standing().exceptions == ()
