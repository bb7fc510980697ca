from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.oci.bounded import Bounded
from proxy.oci.limits import Limits
from proxy.oci.manifest import parse
from proxy.oci.reference import digest_of, parse_reference, parse_repository
from proxy.registry.cache import Cache
from proxy.trust.question import Resolved
from proxy.trust.reason import Reason
from proxy.trust.requirement import Outcome, RequirementOutcome
from tests.worlds.images import image, index
from tests.worlds.memory import FrozenClock
from tests.worlds.stored import APP, decision, digest

PLACE = (APP, digest("image"))
LATEST, V1 = parse_reference("latest"), parse_reference("v1")
YES, NO = decision("yes"), decision("no", Reason.UNSIGNED)
MET = RequirementOutcome("signatures", "enforce", Outcome.PASSED, None, ())
LIST = index(image("child"))
HELD = Resolved(LIST.digest, LIST.media_type, LIST.body, parse(LIST.body, LIST.media_type, Limits()))


def memory() -> tuple[Cache, FrozenClock]:
    clock = FrozenClock()
    return Cache(Limits(), clock.monotonic), clock


def test_a_decision_holds_for_every_reference_unless_it_binds_one() -> None:
    m, _ = memory()
    m.decided(PLACE, "stamp", YES, m.changes(APP))
    assert m.decision(PLACE, "stamp", V1) is YES
    assert m.decision(PLACE, "other stamp", V1) is None
    assert m.decision((parse_repository("a"), PLACE[1]), "stamp", V1) is None
    m, _ = memory()
    bound = replace(YES, binds_reference=True)
    m.decided(PLACE, "stamp", bound, m.changes(APP))
    assert m.decision(PLACE, "stamp", LATEST) is bound
    assert m.decision(PLACE, "stamp", V1) is None


def test_denials_end_after_seconds_and_silence_is_not_kept() -> None:
    m, clock = memory()
    m.decided(PLACE, "stamp", NO, m.changes(APP))
    assert m.decision(PLACE, "stamp", V1) is NO
    clock.advance(5.1)
    assert m.decision(PLACE, "stamp", V1) is None
    m.decided(PLACE, "stamp", replace(NO, outcome=type(NO.outcome).INCONCLUSIVE), m.changes(APP))
    assert m.decision(PLACE, "stamp", V1) is None


def test_what_was_gathered_before_a_change_is_not_kept() -> None:
    m, _ = memory()
    before = m.changes(APP)
    m.forget_denials(APP)
    m.decided(PLACE, "stamp", NO, before)
    assert m.decision(PLACE, "stamp", V1) is None
    before = m.changes(APP)
    m.forget(PLACE)
    m.decided(PLACE, "stamp", YES, before)
    assert m.decision(PLACE, "stamp", V1) is None
    assert m.changes(parse_repository("other")) == 0


def test_forgetting() -> None:
    m, _ = memory()
    child = (APP, digest("child"))
    m.decided(PLACE, "stamp", YES, m.changes(APP))
    m.decided(child, "stamp", YES, m.changes(APP))
    m.forget(PLACE)  # a child is allowed by its parent
    assert m.decision(child, "stamp", V1) is None
    m.decided(child, "stamp", NO, m.changes(APP))
    m.drop_denials_of_children([child])
    assert m.decision(child, "stamp", V1) is None
    for key in ((APP, LATEST, b"alice"), (APP, LATEST, b"bob"), (APP, V1, b"alice")):
        m.tags[key] = digest_of(b"")
    m.forget_tag(APP, LATEST)
    assert list(m.tags) == [(APP, V1, b"alice")]


async def test_one_at_a_time_by_key_and_no_lock_is_left() -> None:
    m, _ = memory()
    inside: list[str] = []

    async def work(key: str) -> None:
        async with m.lock(key):
            assert key not in inside
            inside.append(key)
            await asyncio.sleep(0)
            inside.remove(key)

    await asyncio.gather(*(work(key) for key in "aabbab"))
    assert not m._locks


async def test_a_lock_is_given_back_by_who_fails_and_by_who_leaves() -> None:
    m, _ = memory()
    with pytest.raises(ValueError, match="x"):
        async with m.lock("a"):
            raise ValueError("x")
    async with m.lock("a"):
        waits = asyncio.create_task(_enter(m))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
    assert not m._locks


async def _enter(m: Cache) -> None:
    async with m.lock("a"):
        pass


async def test_what_is_done_later_is_waited_for() -> None:
    m, _ = memory()
    done: list[int] = []

    async def work(n: int) -> None:
        await asyncio.sleep(0)
        done.append(n)
        if n == 1:
            m.later(work(2))

    m.later(work(1))
    await m.settle()
    assert done == [1, 2]


class Walked(OrderedDict[Any, Any]):
    """Counts the entries that somebody walks over."""

    walked = 0

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            Walked.walked += 1
            yield key

    def keys(self) -> Any:
        return list(self)

    def items(self) -> Any:
        return ((key, self[key]) for key in self)

    def values(self) -> Any:
        return (self[key] for key in self)


def test_no_request_walks_over_everything_that_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these once looked at every entry of a full cache, 50,000 of them, for one push or one blob."""
    m, _ = memory()
    for n in range(50_000):
        place = (parse_repository(f"team/r{n % 500}"), digest_of(b"%d" % n))
        m.tags[place[0], parse_reference(f"v{n}"), b"caller"] = place[1]
        for cache in (m._decisions, m._denials):
            cache[place, "stamp", None] = YES
        for outcomes in (m._met, m._unmet):
            outcomes[place, "stamp", None] = MET
        m.bodies[place] = HELD
    full: list[Bounded[Any, Any]] = [m.tags, m._decisions, m._denials, m._met, m._unmet, m.bodies]
    assert min(len(each) for each in full) > 1_000
    m.tags[APP, LATEST, b"caller"] = PLACE[1]
    m.decided(PLACE, "stamp", NO, m.changes(APP))
    m.bodies[APP, HELD.digest] = HELD
    for each in full:
        monkeypatch.setattr(each, "_kept", Walked(each._kept))
    m.forget_tag(APP, LATEST)
    m.drop_denials_of_children([PLACE])
    m.forget_denials(APP)
    assert m.parents(APP, HELD.manifest.children[0].digest) == [HELD.digest]
    assert m.listing(APP, digest("layer")) == []
    m.forget(PLACE)
    assert Walked.walked == 0
    assert (APP, LATEST, b"caller") not in m.tags
    m.forget_tag(parse_repository("team/r1"), parse_reference("v19501"))
    assert m.decision((parse_repository("team/r1"), digest_of(b"49501")), "stamp", None) is YES
