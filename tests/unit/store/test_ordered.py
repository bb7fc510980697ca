from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.oci.reference import digest_of
from proxy.store.ordered import DENIALS, UNREVIEWED, Ordered, with_denial, with_exception
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


def test_denials_that_are_over_make_room_and_there_are_only_so_many() -> None:
    full = Orders(tuple(denial(ONE, name=str(n), until=NOON + timedelta(hours=1)) for n in range(DENIALS)))
    with pytest.raises(ValueError, match="countersign deny list"):
        with_denial(full, denial(ONE), NOON)
    assert with_denial(full, denial(ONE), NOON + timedelta(hours=1)).denials == (denial(ONE),)


def test_exceptions_change_in_their_place_and_wait_for_review_in_bounded_number() -> None:
    first = exception()
    there = with_exception(Orders(), first)
    assert with_exception(there, replace(first, closed=NOON)).exceptions == (replace(first, closed=NOON),)
    full = Orders(exceptions=tuple(exception(name=str(n)) for n in range(UNREVIEWED)))
    with pytest.raises(ValueError, match="review them first"):
        with_exception(full, exception(name="more"))
    assert len(with_exception(full, replace(full.exceptions[0], closed=NOON)).exceptions) == UNREVIEWED
