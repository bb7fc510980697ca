"""Interventions: what is ordered is in force on return, whole, and is removed, closed and reviewed for good."""

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.oci.reference import digest_of
from proxy.registry.ports.overrides import OverrideStore
from proxy.trust.allotment import Allotment
from proxy.trust.overrides import AllOverrides
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.orders import denial, exception

BAD = digest_of(b"bad")


async def test_a_denial_is_in_force_on_return_and_lifted_once(overrides: OverrideStore) -> None:
    first, second = denial(BAD), denial(None, "team/**", name="d2", until=NOON + timedelta(hours=1))
    await overrides.deny(first)
    await overrides.deny(second)
    assert overrides.in_force().denials == (first, second)
    assert await overrides.lift("d1") == first
    assert await overrides.lift("d1") is None
    assert overrides.orders() == AllOverrides((second,), ())


async def test_a_denial_ends_by_itself(overrides: OverrideStore, clock: FrozenClock) -> None:
    await overrides.deny(denial(BAD, until=NOON + timedelta(hours=1)))
    clock.advance(3600)
    assert overrides.in_force().denials == ()
    assert len(overrides.orders().denials) == 1


async def test_an_exception_is_kept_through_its_life(overrides: OverrideStore, clock: FrozenClock) -> None:
    opened = replace(exception("team/app", BAD, unsigned_push=True), reason="caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert await overrides.keep(opened)
    assert not await overrides.keep(opened)
    assert overrides.in_force().exceptions == (opened,)
    closed = replace(opened, closed=NOON + timedelta(minutes=1), closed_by="bob")
    await overrides.keep(closed)
    assert overrides.in_force().exceptions == ()
    reviewed = replace(closed, reviewed=NOON + timedelta(days=1), reviewed_by="eve", review="was needed")
    await overrides.keep(reviewed)
    assert overrides.orders().exceptions == (reviewed,)


async def test_an_exception_ends_by_itself(overrides: OverrideStore, clock: FrozenClock) -> None:
    await overrides.keep(exception(hours=2))
    clock.advance(2 * 3600)
    assert overrides.in_force().exceptions == ()


async def test_too_many_are_refused_and_nothing_changes(overrides: OverrideStore) -> None:
    mine, others = Allotment("ann", 3, 5), Allotment("bob", 3, 5)
    for number in range(3):
        await overrides.keep(exception(name=f"{number:03}"), mine)
        await overrides.deny(denial(None, f"team/{number}", name=str(number)), mine)
    before = overrides.orders()
    with pytest.raises(ValueError, match="review them first"):
        await overrides.keep(exception(name="more"), mine)
    with pytest.raises(ValueError, match="deny list"):
        await overrides.deny(denial(None, "team/more", name="more"), mine)
    assert overrides.orders() == before
    await overrides.keep(replace(exception(name="bob's"), by="bob"), others)
    await overrides.deny(replace(denial(None, "team/0", name="bob's"), by="bob"), others)
    assert [len(each) for each in (overrides.orders().denials, overrides.orders().exceptions)] == [4, 4]


async def test_what_is_denied_again_by_the_same_holder_is_one_denial(overrides: OverrideStore) -> None:
    await overrides.deny(denial(BAD))
    again = replace(denial(BAD, name="d2"), reason="worse", at=NOON + timedelta(minutes=1))
    await overrides.deny(again)
    await overrides.deny(replace(again, reason="worst"))
    assert overrides.orders().denials == (replace(again, reason="worst"),)


async def test_what_was_closed_is_not_opened_by_its_renewal(overrides: OverrideStore) -> None:
    closed = replace(exception(), closed=NOON, closed_by="eve")
    await overrides.keep(exception())
    await overrides.keep(closed)
    assert not await overrides.keep(exception(hours=4))
    assert overrides.orders().exceptions == (closed,)
