from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.oci.reference import digest_of
from proxy.overrides.changes import with_denial, with_exception
from proxy.trust.allotment import Allotment
from proxy.trust.overrides import AllOverrides
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception

ONE = digest_of(b"one")
HOUR = timedelta(hours=1)
TEN = Allotment("ann", 10, 20)


def test_denials_that_are_over_make_room_and_a_holder_has_only_so_many() -> None:
    full = AllOverrides(tuple(denial(None, f"team/{n}", name=str(n), until=NOON + HOUR) for n in range(10)))
    more = denial(None, "team/more")
    with pytest.raises(ValueError, match="countersign deny list"):
        with_denial(full, more, NOON, TEN)
    assert with_denial(full, more, NOON).denials[-1] == more, "where nothing is bounded"
    assert with_denial(full, replace(more, by="bob"), NOON, Allotment("bob", 10, 20)).denials[-1].by == "bob"
    assert with_denial(full, more, NOON + HOUR, TEN).denials == (more,)


def test_denials_of_digests_take_no_room_from_those_of_repositories() -> None:
    many = AllOverrides(tuple(denial(digest_of(bytes([n])), name=str(n)) for n in range(30)))
    assert len(with_denial(many, denial(None, "team/x", name="x"), NOON, TEN).denials) == 31


def test_the_same_target_by_the_same_holder_takes_its_place() -> None:
    there = AllOverrides((denial(ONE), replace(denial(ONE, name="d2"), by="bob"), denial(None, "team/x", name="d3")))
    again = replace(denial(ONE, name="d4"), by="ANN")
    assert [d.id for d in with_denial(there, again, NOON).denials] == ["d2", "d3", "d4"]


def test_exceptions_change_in_their_place_and_wait_for_review_in_bounded_number() -> None:
    first = exception()
    there = with_exception(AllOverrides(), first)
    assert with_exception(there, replace(first, closed=NOON)).exceptions == (replace(first, closed=NOON),)
    full = AllOverrides(exceptions=tuple(exception(name=str(n)) for n in range(10)))
    with pytest.raises(ValueError, match="review them first"):
        with_exception(full, exception(name="more"), TEN)
    assert len(with_exception(full, exception(name="more")).exceptions) == 11, "what the host orders"
    assert len(with_exception(full, replace(full.exceptions[0], closed=NOON), TEN).exceptions) == 10
    reviewed = AllOverrides(exceptions=tuple(replace(e, reviewed=NOON) for e in full.exceptions))
    assert len(with_exception(reviewed, exception(name="more"), TEN).exceptions) == 11


def test_a_closed_exception_is_not_opened_again() -> None:
    closed = AllOverrides(exceptions=(replace(exception(), closed=NOON),))
    assert with_exception(closed, exception(hours=4)) is closed
