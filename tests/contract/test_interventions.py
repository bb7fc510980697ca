"""Interventions: what is ordered is in force on return, whole, and is removed, closed and reviewed for good."""

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.oci.reference import digest_of
from proxy.ports import Interventions
from proxy.trust.allotment import Allotment
from proxy.trust.standing import Orders
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.orders import denial, exception

BAD = digest_of(b"bad")


async def test_a_denial_is_in_force_on_return_and_lifted_once(interventions: Interventions) -> None:
    first, second = denial(BAD), denial(None, "team/**", name="d2", until=NOON + timedelta(hours=1))
    await interventions.deny(first)
    await interventions.deny(second)
    assert interventions.standing().denials == (first, second)
    assert await interventions.lift("d1") == first
    assert await interventions.lift("d1") is None
    assert interventions.orders() == Orders((second,), ())


async def test_a_denial_ends_by_itself(interventions: Interventions, clock: FrozenClock) -> None:
    await interventions.deny(denial(BAD, until=NOON + timedelta(hours=1)))
    clock.advance(3600)
    assert interventions.standing().denials == ()
    assert len(interventions.orders().denials) == 1


async def test_an_exception_is_kept_through_its_life(interventions: Interventions, clock: FrozenClock) -> None:
    opened = replace(exception("team/app", BAD, unsigned_push=True), reason="caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert await interventions.keep(opened)
    assert not await interventions.keep(opened)
    assert interventions.standing().exceptions == (opened,)
    closed = replace(opened, closed=NOON + timedelta(minutes=1), closed_by="bob")
    await interventions.keep(closed)
    assert interventions.standing().exceptions == ()
    reviewed = replace(closed, reviewed=NOON + timedelta(days=1), reviewed_by="eve", review="was needed")
    await interventions.keep(reviewed)
    assert interventions.orders().exceptions == (reviewed,)


async def test_an_exception_ends_by_itself(interventions: Interventions, clock: FrozenClock) -> None:
    await interventions.keep(exception(hours=2))
    clock.advance(2 * 3600)
    assert interventions.standing().exceptions == ()


async def test_too_many_are_refused_and_nothing_changes(interventions: Interventions) -> None:
    mine, others = Allotment("ann", 3, 5), Allotment("bob", 3, 5)
    for number in range(3):
        await interventions.keep(exception(name=f"{number:03}"), mine)
        await interventions.deny(denial(None, f"team/{number}", name=str(number)), mine)
    before = interventions.orders()
    with pytest.raises(ValueError, match="review them first"):
        await interventions.keep(exception(name="more"), mine)
    with pytest.raises(ValueError, match="deny list"):
        await interventions.deny(denial(None, "team/more", name="more"), mine)
    assert interventions.orders() == before
    await interventions.keep(replace(exception(name="bob's"), by="bob"), others)
    await interventions.deny(replace(denial(None, "team/0", name="bob's"), by="bob"), others)
    assert [len(each) for each in (interventions.orders().denials, interventions.orders().exceptions)] == [4, 4]


async def test_what_is_denied_again_by_the_same_holder_is_one_denial(interventions: Interventions) -> None:
    await interventions.deny(denial(BAD))
    again = replace(denial(BAD, name="d2"), reason="worse", at=NOON + timedelta(minutes=1))
    await interventions.deny(again)
    await interventions.deny(replace(again, reason="worst"))
    assert interventions.orders().denials == (replace(again, reason="worst"),)


async def test_what_was_closed_is_not_opened_by_its_renewal(interventions: Interventions) -> None:
    closed = replace(exception(), closed=NOON, closed_by="eve")
    await interventions.keep(exception())
    await interventions.keep(closed)
    assert not await interventions.keep(exception(hours=4))
    assert interventions.orders().exceptions == (closed,)
