from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import PullManifest, PushManifest
from proxy.oci.reference import parse_tag, signature_tag
from proxy.registry.cache import Cache
from proxy.registry.writing import tags as flow
from proxy.registry.writing.tags import Held, held
from proxy.trust.fact import HELD_S
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.images import image

V1, V2 = parse_tag("v1"), parse_tag("v2")
ONE, TWO = image("one"), image("two")


async def shared(limits: Limits | None = None) -> tuple[World, World]:
    """Two servers on one store."""
    w = await world(limits=limits)
    w.store.tags.sole = False
    return w, replace(w, ports=replace(w.ports, cache=Cache(w.ports.limits, w.store.clock.monotonic)))


async def test_what_is_said_of_a_tag_at_the_end_is_what_is_known_of_it() -> None:
    w = await world()
    async with held(REPO, [V1, V2], w.ports, moving_to=ONE.digest) as hold:
        await hold.begin()
        for tag in (V1, V2):
            await hold.trying(tag)
        assert hold.unfinished() == [V1, V2]
        hold.points(V1, ONE.digest, "ann", "password")
        hold.refused(V2)
    known = await w.store.tags.find(REPO, [V1, V2])
    assert set(known) == {V1}
    assert (known[V1].digest, known[V1].by, known[V1].how, known[V1].moving_to) == (ONE.digest, "ann", "password", None)


async def test_who_is_cut_off_leaves_behind_what_was_moving_and_lets_the_tag_go() -> None:
    w = await world()

    async def push() -> None:
        async with held(REPO, [V1], w.ports, moving_to=ONE.digest) as hold:
            await hold.begin()
            await hold.trying(V1)
            await asyncio.Event().wait()

    pushing = asyncio.create_task(push())
    for _ in range(10):
        await asyncio.sleep(0)
    pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    assert [fact.moving_to for fact in await w.store.tags.unfinished(9)] == [ONE.digest]
    async with held(REPO, [V1], w.ports) as hold:
        assert hold.rows[V1].moving_to == ONE.digest


async def test_a_server_waits_for_the_other_one_and_gives_up_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    w, other = await shared(Limits(tag_wait_s=0.2))
    monkeypatch.setattr(flow, "_TRY_S", 0.01)
    async with held(REPO, [V1], w.ports):
        with pytest.raises(Fault, match="another server has been moving tag v1") as busy:
            async with held(REPO, [V1, V2], other.ports):
                pass
        assert busy.value.code == "TOOMANYREQUESTS"
        async with held(REPO, [V2], other.ports):
            pass  # not held any more by who did not get them all
    async with held(REPO, [V1], other.ports):
        pass


async def test_callers_of_one_process_queue_and_only_the_first_asks_the_store() -> None:
    w, _ = await shared()
    tries = 0
    take = w.store.tags.take

    async def counted(*args: object) -> object:
        nonlocal tries
        tries += 1
        return await take(*args)  # type: ignore[arg-type]

    w.store.tags.take = counted  # type: ignore[method-assign, assignment]

    async def once() -> None:
        async with held(REPO, [V1], w.ports):
            await asyncio.sleep(0)

    await asyncio.gather(*(once() for _ in range(5)))
    assert tries == 5


async def test_lists_of_signatures_are_held_against_other_servers_only_and_leave_no_row() -> None:
    w, other = await shared()
    async with held(REPO, [V1], w.ports, about=[ONE.digest, TWO.digest]) as hold:
        assert hold.hold is not None
        assert set(hold.hold.tags) == {V1, signature_tag(ONE.digest), signature_tag(TWO.digest)}
        assert await other.store.tags.take(REPO, [signature_tag(TWO.digest)], "h", {}) is None
        assert hold.unfinished() == []
    assert await w.store.tags.find(REPO, [V1, signature_tag(ONE.digest)]) == {}
    alone = await world()
    async with held(REPO, [], alone.ports, about=[ONE.digest]) as nothing:
        assert nothing.hold is None


async def test_upstream_takes_no_write_once_the_tag_is_lost() -> None:
    w, _ = await shared()
    async with held(REPO, [V1], w.ports) as hold:
        write, look = PushManifest(REPO, V1), PullManifest(REPO, V1, head=True)
        hold.require()
        hold.until = 0.0
        with pytest.raises(Unavailable, match="taken over"):
            await hold.ports.registry.perform(write, ANYBODY, body=ONE.body, length=len(ONE.body))
        await (await hold.ports.registry.perform(look, ANYBODY)).close()
    assert w.registry.count(PushManifest) == 0


async def test_a_hold_is_renewed_and_lost_when_somebody_else_has_taken_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_RENEW_S", 0.001)
    w, other = await shared()
    async with held(REPO, [V1], w.ports) as hold:
        first = hold.until
        while hold.until == first:  # noqa: ASYNC110 (it is changed by the task under test)
            await asyncio.sleep(0.001)
        assert hold.until > first
        w.store.clock.advance(HELD_S + 1)
        assert await other.store.tags.take(REPO, [V1], "thief", {}) is not None
        while hold.until:  # noqa: ASYNC110 (as before)
            await asyncio.sleep(0.001)
        with pytest.raises(Unavailable, match="taken over"):
            hold.require()
    assert await other.store.tags.take(REPO, [V1], "third", {}) is None, "it was not given back for the thief"


async def test_without_tags_nothing_is_held() -> None:
    w = await world()
    async with held(REPO, [], w.ports, moving_to=ONE.digest) as hold:
        assert isinstance(hold, Held)
        await hold.begin()
        await hold.trying(V1)
        hold.points(V1, ONE.digest, "ann", "")
        hold.require()
    assert await w.store.tags.find(REPO, [V1]) == {}
