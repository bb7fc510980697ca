"""What a decision rests on besides the evidence: a change of any of it is another stamp, and other decisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from proxy.oci.reference import digest_of
from proxy.registry.judging.now import holds_still, now_in
from proxy.trust.keys import KeyState, fingerprint
from tests.worlds.conversation import REPO, SIGN, World, signed_by, world
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception


async def key(w: World) -> None:
    await w.store.keybook.set_state(fingerprint(w.store.keybook.ring().ours[0].spki), KeyState.COMPROMISED, NOON)


async def policy(w: World) -> None:
    w.rules.set(replace(SIGN, pull=signed_by("partner")))


async def denied(w: World) -> None:
    await w.store.overrides.deny(denial(digest_of(b"x")))


async def opened(w: World) -> None:
    await w.store.overrides.keep(exception())


async def renamed(w: World) -> None:
    w.ports = replace(w.ports, hosts=("other.example",))


async def later(w: World) -> None:
    w.store.clock.advance(60)


@pytest.mark.parametrize("change", [key, policy, denied, opened, renamed, later])
async def test_each_change_is_another_stamp(change: Callable[[World], Awaitable[None]]) -> None:
    w = await world()
    before = now_in(REPO, w.ports).stamp
    assert now_in(REPO, w.ports).stamp == before
    await change(w)
    assert now_in(REPO, w.ports).stamp != before
    assert len({before, now_in(REPO, w.ports).stamp}) == 2, "both can be keys"


async def test_the_names_that_count_are_those_in_force_not_those_of_when_the_request_came() -> None:
    w = await world()
    names = ["a.example"]
    ports = replace(w.ports, names=lambda: tuple(names))
    before = now_in(REPO, ports)
    names[0] = "b.example"
    assert now_in(REPO, ports).hosts == ("b.example",)
    assert now_in(REPO, ports).stamp != before.stamp
    assert now_in(REPO, ports).basis != before.basis


async def test_an_end_that_comes_is_a_change() -> None:
    w = await world()
    await w.store.overrides.keep(exception(opened=NOON, hours=0.01))
    before = now_in(REPO, w.ports).stamp
    w.store.clock.advance(37)
    assert now_in(REPO, w.ports).stamp != before


async def test_pulls_of_one_second_share_the_state_that_was_computed_for_each_of_them_twice() -> None:
    w = await world()
    before = now_in(REPO, w.ports)
    w.store.clock.advance(0.9)
    assert now_in(REPO, w.ports) is before
    assert holds_still(before, REPO, w.ports)
    w.store.clock.advance(0.1)
    later = now_in(REPO, w.ports)
    assert (later is before, later.stamp == before.stamp) == (False, True)
    w.store.clock.advance(-1)
    assert now_in(REPO, w.ports) is not later, "a clock that went back"
